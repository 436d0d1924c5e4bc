"""
Orders: what is owed to customers, and money that goes back to them.

Invariant: a paid Stripe session has exactly one order, or exactly one refund if its
units were gone when the payment came. All functions are rules: they work in the
caller's transaction and never commit.
"""

import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum, auto

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core import reservations
from core.database import Executor
from core.models import DONE, FAILED, REQUESTED, Order, Refund
from core.statements import statements_for


@dataclass(frozen=True)
class Payment:
    """A Stripe session that was paid; *payment_intent* is None when the total was 0."""

    stripe_session_id: str
    payment_intent: str | None
    amount_cents: int
    currency: str
    customer_name: str
    customer_email: str


class Confirmation(Enum):
    """What became of a payment."""

    CONFIRMED = auto()
    CONFIRMED_LATE = auto()
    """The hold was over, but the units were still free."""
    ALREADY_CONFIRMED = auto()
    """The same payment again; nothing was changed."""
    PAID_TWICE = auto()
    """The checkout has an order of another session; nothing was changed."""
    TOO_LATE = auto()
    """The hold was over and the units are gone; nothing was changed."""
    REFUND_REQUESTED = auto()
    """The payment is on its way back to the customer; nothing was changed."""


def confirm(
    session: Session, checkout_id: int, payment: Payment, *, now: datetime
) -> Confirmation:
    """
    Sell the units of a paid checkout: one order with its lines and movements.

    An amount or currency other than promised makes the order one for REVIEW. Safe to
    repeat, also at the same instant from elsewhere. A payment whose refund was
    requested is not sold, even if units came back since.
    """
    if sell(session, checkout_id, payment, now=now):
        return Confirmation.CONFIRMED
    if not reservations.take_ended(session, checkout_id):
        return _again(session, checkout_id, payment)
    if refund_of(session, payment.stripe_session_id) is not None:
        return Confirmation.REFUND_REQUESTED
    if not reservations.retake(session, checkout_id):
        return Confirmation.TOO_LATE
    if not sell(session, checkout_id, payment, now=now, is_late=True):
        raise AssertionError("what was taken again is not PENDING")
    return Confirmation.CONFIRMED_LATE


def sell(
    session: Executor,
    checkout_id: int,
    payment: Payment,
    *,
    now: datetime,
    is_late: bool = False,
) -> bool:
    """
    Sell the units of a PENDING checkout, as confirm does. A single statement.

    Stock and reserved fall together, so nothing is checked: the units are counted.
    *is_late* after reservations.retake. Safe to repeat: returns False and changes
    nothing unless the checkout was PENDING.
    """
    sale = {
        **asdict(payment),
        "token": secrets.token_urlsafe(24),
        "was_late": is_late,
        "cause": "paid late, units taken again" if is_late else "paid",
        "now": now,
    }
    return statements_for(session).sell(session, checkout_id, sale)


def _again(session: Session, checkout_id: int, payment: Payment) -> Confirmation:
    """Tell the same payment from a second one for a checkout that has its order."""
    if refund_of(session, payment.stripe_session_id) is not None:
        return Confirmation.REFUND_REQUESTED
    other = session.scalar(
        select(Order.id).where(
            Order.checkout_id == checkout_id,
            Order.stripe_session_id != payment.stripe_session_id,
        )
    )
    return Confirmation.ALREADY_CONFIRMED if other is None else Confirmation.PAID_TWICE


def refund_of(session: Session, stripe_session_id: str) -> Refund | None:
    """Return the refund of a session's payment, if one was requested."""
    return session.scalar(
        select(Refund).where(Refund.stripe_session_id == stripe_session_id)
    )


def request_refund(
    session: Session,
    checkout_id: int,
    payment: Payment,
    *,
    now: datetime,
) -> None:
    """
    Note that the whole *payment* goes back to the customer, to be sent after commit.

    Safe to repeat: a session has one refund. A payment of nothing needs none. One that
    Stripe gives no payment intent of cannot be sent back: a person has to look at it.
    """
    if payment.amount_cents == 0 or refund_of(session, payment.stripe_session_id):
        return
    session.add(
        Refund(
            checkout_id=checkout_id,
            stripe_session_id=payment.stripe_session_id,
            payment_intent=payment.payment_intent or "",
            amount_cents=payment.amount_cents,
            currency=payment.currency,
            status=REQUESTED if payment.payment_intent else FAILED,
            created_at=now,
        )
    )
    session.flush()


def close_refund(
    session: Session,
    refund_id: int,
    *,
    stripe_refund_id: str | None,
    now: datetime,
) -> None:
    """Note that Stripe took a refund or, without its id, that it refused."""
    session.execute(
        update(Refund)
        .where(Refund.id == refund_id, Refund.status == REQUESTED)
        .values(
            status=DONE if stripe_refund_id else FAILED,
            stripe_refund_id=stripe_refund_id,
            done_at=now,
        )
    )
