"""
Money back to a customer and goods back into the stock, as the owner has confirmed it.

Invariant: what was confirmed is carried out once. The owner confirms what the page
showed, so that must still be true: a second click, a page that ran again or another tab
finds that it is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.orders import Order, OrderLine
from core.orders import orders
from core.refunds import refunds


class ChangedMeanwhileError(Exception):
    """The order is not as it was when it was shown; nothing was changed."""


@dataclass(frozen=True)
class RefundAndReturn:
    """
    What the owner asked for, and what the order looked like then.

    *number* is the order's, None for a payment without an order. *cents* is 0 when only
    goods come back, *units* is by product id. *again* is the failed refund that is
    tried once more.
    """

    number: int | None
    cents: int
    currency: str
    seen_refunded_cents: int = 0
    reason: str = ""
    units: Mapping[int, int] = field(default_factory=dict)
    seen_returned: Mapping[int, int] = field(default_factory=dict)
    again: int | None = None


def carry_out(
    session: Session, asked: RefundAndReturn, *, who: str, now: datetime
) -> bool:
    """
    Request the refund and return the goods to the stock, both or neither. A rule.

    Raises ChangedMeanwhileError, NotFoundError, RefundRefusedError or
    InvalidQuantityError, with nothing changed by the caller's rollback.
    """
    number = asked.number
    if asked.again is not None:
        refunds.request_again(session, asked.again, who=who, now=now)
    elif number is not None and asked.cents:
        refunds.request_by_owner(
            session, number, asked.cents, reason=asked.reason, who=who, now=now
        )
    if number is not None:
        orders.return_units(session, number, asked.units, who=who, now=now)
        session.flush()
        _check(session, number, asked)
    return True


def _check(session: Session, number: int, asked: RefundAndReturn) -> None:
    # The rows changed above are locked: nobody else can change them before the end.
    refunded = session.scalar(select(Order.refunded_cents).where(Order.id == number))
    if asked.cents and refunded != asked.seen_refunded_cents + asked.cents:
        raise ChangedMeanwhileError
    lines = session.execute(
        select(OrderLine.product_id, OrderLine.returned).where(
            OrderLine.order_id == number, OrderLine.product_id.in_(asked.units)
        )
    )
    for product_id, returned in lines:
        if returned != asked.seen_returned[product_id] + asked.units[product_id]:
            raise ChangedMeanwhileError
