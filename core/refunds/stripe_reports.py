"""
What Stripe says of refunds, whoever made them: an answer, a message, or a list.

All functions are rules: they work in the caller's transaction and never commit. A
report may come twice, late, or before the answer to our own request.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.database.rows import insert_once
from core.models.orders import Order
from core.models.records import REFUND_FAILED, RESTOCK
from core.models.refunds import AUTOMATIC, DONE, FAILED, REQUESTED, SENT, STRIPE, Refund
from core.payments.data import RefundReport
from core.refunds import owed, progress


def take_report(session: Session, report: RefundReport, *, now: datetime) -> bool:
    """
    Record what Stripe says of a refund, also of one that was made there.

    Safe to repeat and in any order. Returns whether anything was new. The refund of a
    payment that is not ours is ignored.
    """
    refund_id = (
        _known(session, report)
        or _adopted(session, report, now=now)
        # The answer to our own request may have been recorded just now.
        or _known(session, report)
        or _note_stripes_own(session, report, now=now)
    )
    if refund_id is None:
        return False
    return _take_status(session, refund_id, report, now=now)


def take_answer(
    session: Session, refund_id: int, report: RefundReport, *, now: datetime
) -> bool:
    """
    Record Stripe's answer to our own request, as take_report does.

    If the payment had been refunded by hand before, the answer is that refund. If that
    one is known here already, ours has failed.
    """
    if _known(session, report) not in (None, refund_id):
        failure = owed.SENT_BACK_BEFORE
        return progress.fail(session, refund_id, failure=failure, now=now)
    _adopt(session, Refund.id == refund_id, report, now=now)
    return _take_status(session, refund_id, report, now=now)


def _known(session: Session, report: RefundReport) -> int | None:
    return session.scalar(select(Refund.id).where(Refund.stripe_refund_id == report.id))


def status_of(report: RefundReport) -> str:
    """Return our status of a refund by Stripe's."""
    if report.has_failed:
        return FAILED
    return DONE if report.status == "succeeded" else SENT


def _take_status(
    session: Session, refund_id: int, report: RefundReport, *, now: datetime
) -> bool:
    status = status_of(report)
    if status == FAILED:
        return progress.fail(session, refund_id, failure=report.failure, now=now)
    return progress.become(session, refund_id, status, now=now)


def _adopted(session: Session, report: RefundReport, *, now: datetime) -> int | None:
    """Find the refund that we requested and have no answer for yet."""
    of_this_payment = Refund.payment_intent == report.payment_intent
    if report.key:
        is_asked_for = of_this_payment & (Refund.idempotency_key == report.key)
    elif report.has_failed:
        return None  # What failed by hand we still have to send back.
    else:
        # Somebody refunded by hand the whole payment that we were to send back.
        is_asked_for = (
            of_this_payment
            & (Refund.amount_cents == report.amount_cents)
            & (Refund.cause == AUTOMATIC)
        )
    return _adopt(session, is_asked_for, report, now=now)


def _adopt(
    session: Session,
    is_asked_for: ColumnElement[bool],
    report: RefundReport,
    *,
    now: datetime,
) -> int | None:
    """
    Give a refund its id at Stripe; one that had FAILED here alone is REQUESTED again.

    None if no refund is without an id: another transaction may have set it.
    """
    refund = session.scalar(
        select(Refund)
        .where(is_asked_for, Refund.stripe_refund_id.is_(None))
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if refund is None:
        return None
    refund.stripe_refund_id = report.id
    if refund.status == FAILED and not report.has_failed:
        refund.status = REQUESTED
        if refund.order_id is not None:
            progress.count(session, refund.order_id, refund.amount_cents, now=now)
    session.flush()
    return refund.id


def _note_stripes_own(
    session: Session, report: RefundReport, *, now: datetime
) -> int | None:
    """
    Record a refund that was made at Stripe; None if its payment is not ours.

    Also None if it had failed before we heard of it: it has taken nothing.
    """
    paid = progress.payment_of(session, report.payment_intent)
    if paid is None:
        return None
    refund_id: int | None = insert_once(session, Refund, _made_there(report, paid, now))
    if refund_id is None:
        # Another message about it was quicker.
        return _known(session, report)
    refund = session.get_one(Refund, refund_id)
    if report.has_failed:
        progress.enter(session, refund, REFUND_FAILED, report.id, now=now)
        return None
    if isinstance(paid, Order):
        progress.count(session, paid.id, report.amount_cents, now=now)
        progress.enter(session, refund, RESTOCK, report.id, now=now)
    return refund_id


def _made_there(
    report: RefundReport, paid: Order | Refund, now: datetime
) -> dict[str, object]:
    values = progress.of_payment(paid) | {
        "idempotency_key": f"stripe-{report.id}",
        "stripe_refund_id": report.id,
        "amount_cents": report.amount_cents,
        "currency": report.currency,
        "cause": STRIPE,
        "reason": paid.reason if isinstance(paid, Refund) else "",
        "created_at": now,
    }
    if report.has_failed:
        values |= {"status": FAILED, "failed_at": now, "failure": report.failure}
    return values
