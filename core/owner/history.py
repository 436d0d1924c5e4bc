"""
Every step of a checkout and its order: what, when, why, who and Stripe's ids.

Read from the rows that still tell of it, and from `checkout_step` for what a later
change has overwritten in them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.models.base import Base
from core.models.checkout import PENDING, Checkout
from core.models.mail import SENDING, Mail
from core.models.orders import Order
from core.models.records import CheckoutStep, StripeEvent, ToDo
from core.models.refunds import FAILED, Dispute, Refund
from core.models.stock import RETURNED, StockMovement

Row = TypeVar("Row", bound=Base)

# The order of steps that have the same time; all others come later.
_RANKS = ("RESERVED", "PAGE_MADE", "EVENT")
# What Stripe's events are about, as our rows name it.
_SUBJECTS = (
    *("stripe_session_id", "payment_intent"),
    *("stripe_refund_id", "stripe_dispute_id"),
)


@dataclass(frozen=True)
class Step:
    """
    Something that happened; *what* is a constant or the type of Stripe's event.

    *who* is empty for the shop itself, *amount_cents* None where no money moved.
    """

    at: datetime
    what: str
    cause: str = ""
    who: str = ""
    stripe_id: str = ""
    amount_cents: int | None = None


def steps(session: Session, checkout_id: int) -> list[Step]:
    """Return the steps of a checkout, oldest first; none if it does not exist."""
    checkout = session.get(Checkout, checkout_id)
    if checkout is None:
        return []
    orders = _all(session, Order, Order.checkout_id == checkout_id)
    refunds = _all(session, Refund, Refund.checkout_id == checkout_id)
    disputes = _all(session, Dispute, Dispute.checkout_id == checkout_id)
    rows = (checkout, *orders, *refunds, *disputes)
    subjects = {getattr(row, name, None) for row in rows for name in _SUBJECTS}
    found = [
        *_of_checkout(checkout),
        *_events(session, [each for each in subjects if each]),
        *_of_orders(session, orders),
        *_of_refunds(refunds),
        *_notes(session, checkout_id),
    ]
    return sorted(found, key=lambda step: (step.at, _rank(step.what)))


def _rank(what: str) -> int:
    if what.startswith(("checkout.", "charge.", "refund.")):
        what = "EVENT"
    return _RANKS.index(what) if what in _RANKS else len(_RANKS)


def _all(
    session: Session, model: type[Row], which: ColumnElement[bool]
) -> Sequence[Row]:
    return session.scalars(select(model).where(which)).all()


def _of_checkout(checkout: Checkout) -> Iterator[Step]:
    yield Step(checkout.created_at, "RESERVED")
    if checkout.session_at is not None:
        stripe_id = checkout.stripe_session_id or ""
        yield Step(checkout.session_at, "PAGE_MADE", stripe_id=stripe_id)
    if checkout.status != PENDING and checkout.closed_at is not None:
        yield Step(checkout.closed_at, checkout.status, cause=checkout.cause)


def _events(session: Session, subjects: Collection[str]) -> Iterator[Step]:
    for row in _all(session, StripeEvent, StripeEvent.object_id.in_(subjects)):
        yield Step(row.received_at, row.type, cause=row.outcome, stripe_id=row.id)


def _of_orders(session: Session, orders: Sequence[Order]) -> Iterator[Step]:
    for order in orders:
        stripe_id = order.payment_intent or order.stripe_session_id
        yield Step(order.created_at, "SOLD", "", "", stripe_id, order.amount_cents)
        of_order = StockMovement.order_id == order.id
        is_return = StockMovement.reason == RETURNED
        for row in _all(session, StockMovement, of_order & is_return):
            cause = f"{row.quantity} x product {row.product_id}"
            yield Step(row.created_at, "UNITS_RETURNED", cause, row.who)


def _of_refunds(refunds: Sequence[Refund]) -> Iterator[Step]:
    for row in refunds:
        about = row.stripe_refund_id or "", row.amount_cents
        cause = ": ".join(filter(None, (row.cause, row.reason)))
        yield Step(row.created_at, "REFUND_REQUESTED", cause, row.who, *about)
        if row.done_at:
            yield Step(row.done_at, "REFUND_DONE", "", "", *about)
        if row.failed_at:
            yield Step(row.failed_at, "REFUND_FAILED", row.failure, "", *about)


def _notes(session: Session, checkout_id: int) -> Iterator[Step]:
    for step in _all(session, CheckoutStep, CheckoutStep.checkout_id == checkout_id):
        yield Step(step.created_at, step.what, step.cause, step.who, step.stripe_id)
    for mail in _all(session, Mail, Mail.checkout_id == checkout_id):
        if mail.sent_at is not None:
            yield Step(mail.sent_at, f"MAILED_{mail.kind}", cause=mail.recipient)
        elif mail.status == FAILED:
            yield Step(mail.created_at, f"MAIL_FAILED_{mail.kind}", cause=mail.error)
        elif mail.status == SENDING:
            yield Step(mail.created_at, f"MAIL_IN_DOUBT_{mail.kind}", cause=mail.error)
    for entry in _all(session, ToDo, ToDo.checkout_id == checkout_id):
        yield Step(entry.created_at, "ENTERED", entry.kind, stripe_id=entry.stripe_id)
        if entry.done_at is not None:
            yield Step(entry.done_at, "TICKED_OFF", entry.kind, who=entry.done_by)
