"""
Every step of a checkout and its order: what, when, why, who and Stripe's ids.

Read from the rows that still tell of it, and from `checkout_step` for what a later
change has overwritten in them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, select
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
    order = session.scalar(select(Order).where(Order.checkout_id == checkout_id))
    refunds = _all(session, Refund, Refund.checkout_id == checkout_id)
    disputes = _all(session, Dispute, Dispute.checkout_id == checkout_id)
    subjects = {checkout.stripe_session_id}
    if order:
        subjects |= {order.stripe_session_id, order.payment_intent}
    for each in refunds:
        subjects |= {each.stripe_refund_id, each.stripe_session_id, each.payment_intent}
    subjects |= {each.stripe_dispute_id for each in disputes}
    found = [
        *_of_checkout(checkout),
        *_kept(session, checkout_id),
        *_events(session, {each for each in subjects if each}),
        *(_of_order(session, order) if order else ()),
        *_of_refunds(refunds),
        *_letters(session, checkout_id),
        *_entries(session, checkout_id),
    ]
    return sorted(found, key=lambda step: (step.at, _rank(step.what)))


def _rank(what: str) -> int:
    if what.startswith(("checkout.", "charge.", "refund.")):
        what = "EVENT"
    return _RANKS.index(what) if what in _RANKS else len(_RANKS)


def _all(
    session: Session, model: type[Row], condition: ColumnElement[bool]
) -> list[Row]:
    query: Select[Row] = select(model).where(condition)
    return list(session.scalars(query))


def _of_checkout(checkout: Checkout) -> Iterator[Step]:
    yield Step(checkout.created_at, "RESERVED")
    if checkout.session_at is not None:
        stripe_id = checkout.stripe_session_id or ""
        yield Step(checkout.session_at, "PAGE_MADE", stripe_id=stripe_id)
    if checkout.status != PENDING and checkout.closed_at is not None:
        yield Step(checkout.closed_at, checkout.status, cause=checkout.cause)


def _kept(session: Session, checkout_id: int) -> Iterator[Step]:
    for row in _all(session, CheckoutStep, CheckoutStep.checkout_id == checkout_id):
        yield Step(row.created_at, row.what, row.cause, row.who, row.stripe_id)


def _events(session: Session, subjects: Iterable[str]) -> Iterator[Step]:
    for row in _all(session, StripeEvent, StripeEvent.object_id.in_(list(subjects))):
        yield Step(row.received_at, row.type, cause=row.outcome, stripe_id=row.id)


def _of_order(session: Session, order: Order) -> Iterator[Step]:
    yield Step(
        order.created_at,
        "SOLD",
        stripe_id=order.payment_intent or order.stripe_session_id,
        amount_cents=order.amount_cents,
    )
    is_return = StockMovement.reason == RETURNED
    for row in _all(
        session, StockMovement, is_return & (StockMovement.order_id == order.id)
    ):
        cause = f"{row.quantity} x product {row.product_id}"
        yield Step(row.created_at, "UNITS_RETURNED", cause, row.who)


def _of_refunds(refunds: Iterable[Refund]) -> Iterator[Step]:
    for row in refunds:
        cents, stripe_id = row.amount_cents, row.stripe_refund_id or ""
        cause = ": ".join(part for part in (row.cause, row.reason) if part)
        yield Step(row.created_at, "REFUND_REQUESTED", cause, row.who, stripe_id, cents)
        if row.done_at is not None:
            yield Step(row.done_at, "REFUND_DONE", "", "", stripe_id, cents)
        if row.failed_at is not None:
            failure = row.failure
            yield Step(row.failed_at, "REFUND_FAILED", failure, "", stripe_id, cents)


def _letters(session: Session, checkout_id: int) -> Iterator[Step]:
    for row in _all(session, Mail, Mail.checkout_id == checkout_id):
        if row.sent_at is not None:
            yield Step(row.sent_at, f"MAILED_{row.kind}", cause=row.recipient)
        elif row.status == FAILED:
            yield Step(row.created_at, f"MAIL_FAILED_{row.kind}", cause=row.error)
        elif row.status == SENDING:
            yield Step(row.created_at, f"MAIL_IN_DOUBT_{row.kind}", cause=row.error)


def _entries(session: Session, checkout_id: int) -> Iterator[Step]:
    for row in _all(session, ToDo, ToDo.checkout_id == checkout_id):
        yield Step(row.created_at, "ENTERED", row.kind, stripe_id=row.stripe_id)
        if row.done_at is not None:
            yield Step(row.done_at, "TICKED_OFF", row.kind, who=row.done_by)
