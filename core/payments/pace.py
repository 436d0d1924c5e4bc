"""
Many calls to Stripe one after the other, no faster than it allows.

Customers come first: a checkout asks at once, and calls made here wait.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TypeVar

from core.payments.data import Page
from core.payments.retry import Retries, repeat

T = TypeVar("T")

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


def paced(call: Callable[[], T]) -> T:
    """Make the call no sooner than the pace allows; again later if Stripe is busy."""

    def wait_and_call() -> T:
        _pace.wait()
        return call()

    return repeat(wait_and_call, Retries(busy_pauses=BUSY_PAUSES))


def pages(
    ask: Callable[..., Page[T]],
    since: datetime,
    *,
    after: str | None = "",
    keep_lease: Callable[[], None],
) -> Iterator[Page[T]]:
    """
    Go through Stripe's pages of what was made *since* then, from the one *after*.

    *keep_lease* is called before another page is asked for. Raises
    PaymentUnavailableError when Stripe cannot be reached.
    """
    while after is not None:
        page = paced(partial(ask, since=since, after=after))
        yield page
        after = page.next
        if after is not None:
            keep_lease()
