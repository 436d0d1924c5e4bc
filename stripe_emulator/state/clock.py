"""The time at the emulated Stripe, in seconds since 1970 (UTC)."""

import time


class Clock:
    """The wall clock plus the seconds that a test has skipped."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> float:
        return time.time() + self._skipped

    def advance(self, seconds: float) -> None:
        self._skipped += seconds

    def reset(self) -> None:
        self._skipped = 0.0
