"""
Refunds requested: automatically, by the owner, and again after a failure.

Invariant: never more of an order goes back than was paid, and a payment whose units
were gone goes back once. All functions are rules: they work in the caller's transaction
and never commit. `sending` sends what is requested, `progress` follows it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import records
from core.clock import new_token
from core.errors import NotFoundError
from core.models.mail import GONE_MAIL
from core.models.orders import Order
from core.models.records import PAID_TWICE, TOO_LATE, ToDo
from core.models.refunds import AUTOMATIC, FAILED, OWNER, Refund
from core.payments.data import Payment
from core.refunds import owed, progress

# Failure of a refund that could not be asked for.
NO_PAYMENT = "Stripe names no payment"


def automatic_of(session: Session, stripe_session_id: str) -> Refund | None:
    """Return the refund of a payment that found its units gone, if there is one."""
    return session.scalar(
        select(Refund).where(
            Refund.idempotency_key == _automatic_key(stripe_session_id)
        )
    )


def was_sent_back(session: Session, stripe_session_id: str) -> bool:
    """Tell whether it was decided that this payment buys nothing; that stays so."""
    keys = [f"{kind}-{stripe_session_id}" for kind in (TOO_LATE, PAID_TWICE)]
    entered = session.scalar(select(ToDo.id).where(ToDo.key.in_(keys)).limit(1))
    return entered is not None or automatic_of(session, stripe_session_id) is not None


def _automatic_key(stripe_session_id: str) -> str:
    return f"refund-{stripe_session_id}"


def request_automatic(
    session: Session, checkout_id: int, payment: Payment, *, kind: str, now: datetime
) -> None:
    """
    Send a payment back, or what is left of it: *kind* is TOO_LATE or PAID_TWICE.

    It is sent after commit, and the owner has an entry. Safe to repeat: a session has
    one such refund. If nothing was paid there is none, but the customer is told that
    the goods were gone. A payment without a payment intent cannot be sent back: that
    refund has FAILED, and a person has to look at it.
    """
    bill, session_id = payment.bill, payment.stripe_session_id
    of_payment: dict[str, Any] = {
        "checkout_id": checkout_id,
        "payment_intent": payment.payment_intent or "",
        "currency": bill.currency,
    }
    about = {**of_payment, "stripe_id": session_id, "amount_cents": bill.total_cents}
    records.add_to_do(session, kind, f"{kind}-{session_id}", now=now, **about)
    if bill.total_cents == 0:
        if kind == TOO_LATE and bill.customer_email:
            to = progress.addressed(session, checkout_id, bill.customer_email)
            key = f"gone-{session_id}"
            records.add_mail(session, key, GONE_MAIL, checkout_id, now=now, **to)
        return
    if automatic_of(session, session_id):
        return
    refund = Refund(
        **of_payment,
        idempotency_key=_automatic_key(session_id),
        stripe_session_id=session_id,
        # If all of it is back already, Stripe answers with the refund that did it.
        amount_cents=bill.total_cents - payment.refunded_cents or bill.total_cents,
        cause=AUTOMATIC,
        reason=kind,
        customer_email=bill.customer_email,
        created_at=now,
    )
    session.add(refund)
    session.flush()
    if not payment.payment_intent:
        progress.fail(session, refund.id, failure=NO_PAYMENT, now=now)


def request_by_owner(
    session: Session,
    order_id: int,
    amount_cents: int,
    *,
    reason: str = "",
    who: str,
    now: datetime,
) -> int:
    """
    Send some of an order's payment back, or all that is left; return the refund's id.

    It is sent after commit. Raises RefundRefusedError for more than is left and
    NotFoundError without a payment. Not safe to repeat.
    """
    order = session.get(Order, order_id)
    if order is None or not order.payment_intent:
        raise NotFoundError("there is no payment to send back")
    progress.count(session, order.id, amount_cents, who=who, now=now)
    key = f"refund-{new_token()}"
    return _request(session, order, amount_cents, key, reason=reason, who=who, now=now)


def request_again(session: Session, refund_id: int, *, who: str, now: datetime) -> int:
    """
    Try what is owed of a FAILED refund once more, under a key of its own.

    Returns the new one's id. The owner's entry of the failure is ticked off: if this
    one fails it has its own. Raises NotFoundError if it has not failed, was tried again
    before, or nothing of it is owed any more.
    """
    failed = session.get(Refund, refund_id)
    if failed is None or failed.status != FAILED or not failed.payment_intent:
        raise NotFoundError("there is no failed refund to try again")
    key = owed.again_key(failed.id, failed.stripe_session_id)
    if session.scalar(select(Refund.id).where(Refund.idempotency_key == key)):
        raise NotFoundError("this refund was tried again before")
    cents = owed.cents(session, failed)
    if not cents:
        raise NotFoundError("nothing is owed of this refund any more")
    if failed.order_id is not None:
        progress.count(session, failed.order_id, cents, who=who, now=now)
    again_id = _request(
        session, failed, cents, key, reason=failed.reason, who=who, now=now
    )
    # After the order: whoever notes a refund's end locks them in this order, too.
    progress.tick_off_failure(session, failed, who=who, now=now)
    return again_id


def _request(  # noqa: PLR0913 (what goes back, and why)
    session: Session,
    paid: Order | Refund,
    cents: int,
    key: str,
    *,
    reason: str,
    who: str,
    now: datetime,
) -> int:
    """Request *cents* of the payment of an order, or of a refund that failed."""
    refund = Refund(
        **progress.of_payment(paid),
        idempotency_key=key,
        amount_cents=cents,
        cause=OWNER,
        reason=reason,
        who=who,
        created_at=now,
    )
    session.add(refund)
    session.flush()
    return refund.id


def by_id(session: Session, refund_id: int) -> Refund | None:
    """Find a refund by its id."""
    return session.get(Refund, refund_id)
