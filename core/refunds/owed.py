"""
What a customer is still owed of a refund that failed.

Other refunds may have taken its place: the same one tried again, or some that were made
by hand at Stripe; and a bank may have taken the money back in a dispute.
"""

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from core.models.orders import Order
from core.models.records import PAID_TWICE, TOO_LATE, ToDo
from core.models.refunds import DISPUTE_LOST, FAILED, STRIPE, Dispute, Refund

# Why a refund failed that found all of its payment gone back by others.
SENT_BACK_BEFORE = "already sent back"


def again_key(refund_id: int, stripe_session_id: str) -> str:
    """
    Return the key under which a refund that FAILED is tried again, which is once.

    The session makes it ours: another shop in this Stripe account has such numbers too.
    """
    return f"again-{refund_id}-{stripe_session_id}"


def cents(session: Session, refund: Refund) -> int:
    """Return what is owed of a refund; 0 unless it FAILED and none took its place."""
    if refund.status != FAILED or refund.failure == SENT_BACK_BEFORE:
        return 0
    key = again_key(refund.id, refund.stripe_session_id)
    again = session.scalar(select(Refund).where(Refund.idempotency_key == key))
    if again is not None:
        return cents(session, again)
    of_payment = Refund.payment_intent == refund.payment_intent
    if refund.order_id is None:
        left = _paid(session, refund) - _taken(session, of_payment)
    else:
        order = session.get_one(Order, refund.order_id, populate_existing=True)
        left = order.amount_cents - order.refunded_cents
        # What was made by hand after the failure was made instead.
        is_later = (Refund.id > refund.id) & (Refund.cause == STRIPE)
        left = min(left, refund.amount_cents - _taken(session, of_payment & is_later))
    left -= _lost(session, refund)
    return max(0, min(refund.amount_cents, left))


def _paid(session: Session, refund: Refund) -> int:
    """Return the whole of a payment that bought nothing, of which parts went back."""
    keys = [f"{kind}-{refund.stripe_session_id}" for kind in (TOO_LATE, PAID_TWICE)]
    paid = session.scalar(select(ToDo.amount_cents).where(ToDo.key.in_(keys)).limit(1))
    return refund.amount_cents if paid is None else paid


def _taken(session: Session, which: ColumnElement[bool]) -> int:
    total = func.coalesce(func.sum(Refund.amount_cents), 0)
    query = select(total).where(which, Refund.status != FAILED)
    return int(session.scalars(query).one())


def _lost(session: Session, refund: Refund) -> int:
    total = func.coalesce(func.sum(Dispute.amount_cents), 0)
    query = select(total).where(
        Dispute.payment_intent == refund.payment_intent,
        Dispute.currency == refund.currency,
        Dispute.status == DISPUTE_LOST,
    )
    return int(session.scalars(query).one())
