"""
Stripe asked for many things one after the other, no faster than it allows.

Customers come first: whoever is at the till asks at once, and this waits.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TypeVar

from core.errors import PaymentBusyError
from core.payments.data import Page

T = TypeVar("T")

# Stripe takes 25 requests a second at one endpoint. After a rest a second's calls may
# go at once, so that no second has more than twice as many.
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


def in_turn(call: Callable[[], T]) -> T:
    """Make the call when it is its turn, and again later when Stripe is too busy."""
    for pause in BUSY_PAUSES:
        _pace.wait()
        try:
            return call()
        except PaymentBusyError:
            time.sleep(pause)
    _pace.wait()
    return call()


def pages(
    ask: Callable[..., Page[T]],
    since: datetime,
    *,
    after: str | None = "",
    keep_turn: Callable[[], None],
) -> Iterator[Page[T]]:
    """
    Go through Stripe's pages of what was made *since* then, from the one *after*.

    *keep_turn* is called before another page is asked for. Raises
    PaymentUnavailableError when Stripe cannot be reached.
    """
    while after is not None:
        page = in_turn(partial(ask, since=since, after=after))
        yield page
        after = page.next
        if after is not None:
            keep_turn()
