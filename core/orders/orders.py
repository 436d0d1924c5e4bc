"""
Orders: what is owed to customers, from the payment to the goods that have left.

All functions are rules: they work in the caller's transaction and never commit.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import records
from core.database.engine import Executor
from core.database.rows import change
from core.errors import InvalidQuantityError
from core.models.orders import FULFILLED, PAID, REVIEW, Order, OrderLine
from core.models.records import AMOUNT, RESTOCK, ToDo
from core.payments.data import Payment
from core.records import Noted
from core.stock import ledger
from core.stock.statements import statements_for

NOT_NOTED = Noted("", "", "", "")


def confirm(
    session: Executor,
    checkout_id: int,
    payment: Payment,
    *,
    now: datetime,
    event: Noted = NOT_NOTED,
    is_late: bool = False,
) -> bool:
    """
    Sell the units of a PENDING checkout: an order with lines and movements, at once.

    The units are reserved, so no stock is checked: stock and reserved fall together.
    The customer's letter is written and *event* is noted with it. *is_late* after
    reservations.retake. Safe to repeat: returns False and changes nothing unless the
    checkout was PENDING.
    """
    bill = payment.bill
    sale = {
        **vars(bill),
        "amount_cents": bill.total_cents,
        "adds_up": bill.adds_up,
        "stripe_session_id": payment.stripe_session_id,
        "payment_intent": payment.payment_intent,
        "token": secrets.token_urlsafe(24),
        "was_late": is_late,
        "cause": "paid late, units taken again" if is_late else "paid",
        "event_id": event.id,
        "event_type": event.type,
        "event_effect": event.effect,
        "now": now,
    }
    return statements_for(session).confirm(session, checkout_id, sale)


def fulfil(session: Session, order_id: int, *, who: str, now: datetime) -> bool:
    """
    Note that the goods have left; safe to repeat.

    Returns False and changes nothing unless the order was PAID: an order in REVIEW must
    be accepted first, and for a refunded one no goods are owed.
    """
    return _become(session, order_id, PAID, FULFILLED, who=who, now=now)


def unfulfil(session: Session, order_id: int, *, who: str, now: datetime) -> bool:
    """Undo fulfil; returns False and changes nothing if it was not FULFILLED."""
    return _become(session, order_id, FULFILLED, PAID, who=who, now=now)


def accept(session: Session, order_id: int, *, who: str, now: datetime) -> bool:
    """
    Accept an order in REVIEW as it was paid; its entry for the owner is ticked off.

    Safe to repeat: returns False and changes nothing unless the order was in REVIEW.
    """
    if not _become(session, order_id, REVIEW, PAID, who=who, now=now):
        return False
    _tick_off(session, order_id, AMOUNT, who=who, now=now)
    return True


def _become(
    session: Session, order_id: int, old: str, new: str, *, who: str, now: datetime
) -> bool:
    order = change(
        session,
        Order,
        (Order.id == order_id) & (Order.status == old),
        returning=["checkout_id"],
        status=new,
        fulfilled_at=now if new == FULFILLED else None,
    )
    if order:
        records.add_step(
            session, order.checkout_id, f"{old} to {new}", who=who, now=now
        )
    return order is not None


def return_units(
    session: Session,
    order_id: int,
    units: Mapping[int, int],
    *,
    who: str,
    now: datetime,
) -> None:
    """
    Put returned *units* (product id to quantity) of an order back into the stock.

    The entry that asks what came back of a refund made at Stripe is ticked off, too.
    Raises InvalidQuantityError for a quantity under 1, or for more of a product than
    was sold and has not come back yet; the caller must roll back. Not safe to repeat.
    """
    for product_id, quantity in sorted(units.items()):
        returned = OrderLine.returned + quantity
        is_line = (OrderLine.order_id == order_id) & (
            OrderLine.product_id == product_id
        )
        which = is_line & (returned <= OrderLine.quantity)
        if quantity < 1 or not change(session, OrderLine, which, returned=returned):
            raise InvalidQuantityError(product_id, quantity)
        ledger.return_units(session, product_id, quantity, order_id, who=who, now=now)
    if units:
        _tick_off(session, order_id, RESTOCK, who=who, now=now)


def _tick_off(
    session: Session, order_id: int, kind: str, *, who: str, now: datetime
) -> None:
    checkout_id = select(Order.checkout_id).where(Order.id == order_id)
    which = (ToDo.checkout_id == checkout_id.scalar_subquery()) & (ToDo.kind == kind)
    records.tick_off_all(session, which, who=who, now=now)
