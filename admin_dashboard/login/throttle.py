"""A pause after wrong attempts, which grows with each of them."""

import time
from collections import OrderedDict
from collections.abc import Callable

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 900.0
MOST_KEYS = 10_000


class Throttle:
    """
    Counts wrong attempts by key; after *free* of them each needs a longer pause.

    It counts within this process, and the dashboard is served by one.
    """

    def __init__(self, free: int, *, clock: Callable[[], float] = time.monotonic):
        self._free = free
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def pause(self, key: str) -> float:
        """Return the seconds until *key* may try again; 0 means now."""
        count, last = self._wrong.get(key, (0, 0.0))
        if count < self._free:
            return 0.0
        pause = min(
            FIRST_PAUSE_SECONDS * 2.0 ** min(count - self._free, 16),
            LONGEST_PAUSE_SECONDS,
        )
        return max(0.0, last + pause - self._clock())

    def count(self, key: str) -> None:
        count = self._wrong.pop(key, (0, 0.0))[0]
        self._wrong[key] = (count + 1, self._clock())
        if len(self._wrong) > MOST_KEYS:
            self._wrong.popitem(last=False)

    def forget(self, key: str) -> None:
        self._wrong.pop(key, None)
