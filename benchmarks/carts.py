"""Carts and terms that every contender is given alike."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.load import HOT, PRODUCTS
from core.clock import new_token, utcnow
from core.stock.reservations import Terms

NOTICE = "We hold your products until 12:00. After that nothing is charged."


@dataclass(frozen=True)
class Carts:
    """Carts of so many different products, one unit of each."""

    lines: int = 1
    is_hot: bool = False

    def __str__(self) -> str:
        if self.is_hot:
            return "one hot product"
        return f"{'one line' if self.lines == 1 else f'{self.lines} lines'} spread"

    def draw(self) -> list[int]:
        """Return the products of a new cart, in no order."""
        if self.is_hot:
            return [HOT]
        # Different by construction, and much quicker than to draw without repetition.
        room = PRODUCTS // self.lines
        return [
            number * room + int(random.random() * room) + 1  # noqa: S311 (no secret)
            for number in range(self.lines)
        ]


ONE_LINE = Carts()
ONE_HOT = Carts(is_hot=True)
THREE_LINES = Carts(lines=3)


def new_terms() -> Callable[[], tuple[Terms, datetime]]:
    """Return a function that makes the terms of a new visitor, cheaply."""
    hold_for = timedelta(days=1)

    def make() -> tuple[Terms, datetime]:
        now = utcnow()
        expires_at = now + hold_for
        terms = Terms(
            visitor=new_token(),
            network="",
            locale="nl",
            notice=NOTICE,
            idempotency_key=f"checkout-{new_token()}",
            expires_at=expires_at,
            stripe_expires_at=expires_at,
        )
        return terms, now

    return make
