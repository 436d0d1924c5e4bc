"""
Many calls to Stripe one after the other, no faster than it allows.

Customers come first: a checkout asks at once, and calls made here wait.
"""

import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from core.payments.retry import Retries, repeat

T = TypeVar("T")
P = ParamSpec("P")

# Stripe takes 25 requests a second at one endpoint. After a rest the calls of one
# second may go at once, so that no second has more than twice CALLS_PER_SECOND.
CALLS_PER_SECOND = 10
REST_SECONDS = 1.0
BUSY_PAUSES = (1.0, 4.0, 15.0)


class _Pace:
    """Lets calls through one by one, in the whole process; thread-safe."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._next_at = 0.0

    def wait(self) -> None:
        with self._mutex:
            now = time.monotonic()
            at = max(now - REST_SECONDS, self._next_at)
            self._next_at = at + 1 / CALLS_PER_SECOND
        time.sleep(max(0, at - now))


_pace = _Pace()


def paced(call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Make the call no sooner than the pace allows; again later if Stripe is busy."""

    def wait_and_call() -> T:
        _pace.wait()
        return call(*args, **named)

    return repeat(wait_and_call, Retries(busy_pauses=BUSY_PAUSES))
