"""Stripe's lists, page by page, no faster than Stripe allows."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TypeVar

from core.errors import PaymentBusyError
from core.payment_data import Page

T = TypeVar("T")

# Stripe takes 25 requests a second at one endpoint; customers come first.
CALLS_PER_SECOND = 10
BUSY_PAUSES = (1.0, 4.0, 15.0)


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
        began = time.monotonic()
        page = unless_busy(partial(ask, since=since, after=after))
        yield page
        after = page.next
        if after is not None:
            keep_turn()
            spent = time.monotonic() - began
            time.sleep(max(0, 1 / CALLS_PER_SECOND - spent))


def unless_busy(call: Callable[[], T]) -> T:
    """Make the call, and again after a while when Stripe is too busy."""
    for pause in BUSY_PAUSES:
        try:
            return call()
        except PaymentBusyError:
            time.sleep(pause)
    return call()
