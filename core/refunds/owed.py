"""
What a customer is still owed of a refund that failed.

Other refunds may have replaced it: the same one tried again, or some made by hand at
Stripe. Or a bank has taken the money back in a dispute.
"""

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from core.models.orders import Order
from core.models.records import PAID_TWICE, TOO_LATE, ToDo
from core.models.refunds import DISPUTE_LOST, FAILED, STRIPE, Dispute, Refund

# Failure of a refund whose payment other refunds had paid back.
SENT_BACK_BEFORE = "already sent back"


def again_key(refund_id: int, stripe_session_id: str) -> str:
    """
    Return the key under which a FAILED refund is tried again, once.

    It contains the session, as another shop in this Stripe account has the same
    numbers.
    """
    return f"again-{refund_id}-{stripe_session_id}"


def cents(session: Session, refund: Refund) -> int:
    """Return the cents owed of a refund; 0 unless it FAILED and none replaced it."""
    if refund.status != FAILED or refund.failure == SENT_BACK_BEFORE:
        return 0
    key = again_key(refund.id, refund.stripe_session_id)
    again = session.scalar(select(Refund).where(Refund.idempotency_key == key))
    if again is not None:
        return cents(session, again)
    taken = (Refund.payment_intent == refund.payment_intent) & (Refund.status != FAILED)
    if refund.order_id is None:
        left = _paid(session, refund) - _sum(session, Refund, taken)
    else:
        order = session.get_one(Order, refund.order_id, populate_existing=True)
        left = order.amount_cents - order.refunded_cents
        # A refund made by hand after the failure counts as made instead.
        is_later = (Refund.id > refund.id) & (Refund.cause == STRIPE)
        made = _sum(session, Refund, taken & is_later)
        left = min(left, refund.amount_cents - made)
    left -= _sum(
        session,
        Dispute,
        (Dispute.payment_intent == refund.payment_intent)
        & (Dispute.currency == refund.currency)
        & (Dispute.status == DISPUTE_LOST),
    )
    return max(0, min(refund.amount_cents, left))


def _paid(session: Session, refund: Refund) -> int:
    """Return the full amount of a payment that bought nothing."""
    keys = [f"{kind}-{refund.stripe_session_id}" for kind in (TOO_LATE, PAID_TWICE)]
    paid = session.scalar(select(ToDo.amount_cents).where(ToDo.key.in_(keys)).limit(1))
    return refund.amount_cents if paid is None else paid


def _sum(
    session: Session, model: type[Refund | Dispute], which: ColumnElement[bool]
) -> int:
    total = func.coalesce(func.sum(model.amount_cents), 0)
    return int(session.scalars(select(total).where(which)).one())
