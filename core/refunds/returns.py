"""
Money back to a customer and goods back into the stock, as the owner has confirmed it.

Invariant: what was confirmed is carried out once. An owner confirms what he saw, so
what he saw must still be true when it is carried out: a second click, a page that ran
again or another tab finds that it is not.
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
    What the owner has asked for, and what the order looked like to him.

    *key* names it, so that the refund is made once. *number* is the order's, None for a
    payment that no order came of. *cents* is 0 when only goods come back, *units* is by
    product id. *again* is the failed refund that is tried once more.
    """

    key: str
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
    Request the refund and take the goods back, both or neither. A rule.

    Raises ChangedMeanwhileError, NotFoundError, RefundRefusedError or
    InvalidQuantityError, with nothing changed by the caller's rollback.
    """
    if asked.again is not None:
        refunds.request_again(session, asked.again, who=who, now=now)
    elif asked.number is not None and asked.cents:
        refunds.request_by_owner(
            session,
            asked.number,
            asked.cents,
            reason=asked.reason,
            key=asked.key,
            who=who,
            now=now,
        )
    if asked.number is not None:
        orders.return_units(session, asked.number, asked.units, who=who, now=now)
        session.flush()
        _check(session, asked.number, asked)
    return True


def _check(session: Session, number: int, asked: RefundAndReturn) -> None:
    # What was changed above is ours by now: nobody else can change it before the end.
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
