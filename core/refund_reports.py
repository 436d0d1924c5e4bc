"""
What Stripe says of refunds, whoever made them: an answer, a message, or a list.

All functions are rules: they work in the caller's transaction and never commit. A
report may come twice, late, and before the answer to the request that it is about.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core import records, refunds
from core.errors import RefundRefusedError
from core.models import (
    AUTOMATIC,
    DONE,
    FAILED,
    REFUND_FAILED,
    RESTOCK,
    SENT,
    STRIPE,
    Order,
    Refund,
)
from core.payment_data import RefundReport

_STATUSES = {"succeeded": DONE, "failed": FAILED, "canceled": FAILED}


def take_report(session: Session, report: RefundReport, *, now: datetime) -> bool:
    """
    Note what Stripe says of a refund, also of one that was made there.

    Safe to repeat and in any order. Returns whether anything was new. A refund of a
    payment that is not ours is passed over.
    """
    refund_id = (
        _known(session, report)
        or _adopted(session, report)
        # The answer to our own request may have been noted at this very moment.
        or _known(session, report)
    )
    if refund_id is None:
        refund_id = _note_stripes_own(session, report, now=now)
        if refund_id is None:
            return False
    return _take_status(session, refund_id, report, now=now)


def take_answer(
    session: Session, refund_id: int, report: RefundReport, *, now: datetime
) -> bool:
    """
    Note Stripe's answer to a request, as take_report does.

    If the payment had gone back by hand before, the answer is that refund; when that is
    an entry of its own here, this one has failed.
    """
    if _known(session, report) not in (None, refund_id):
        return refunds.fail(session, refund_id, failure="already sent back", now=now)
    _adopt(session, Refund.id == refund_id, report)
    return _take_status(session, refund_id, report, now=now)


def _known(session: Session, report: RefundReport) -> int | None:
    return session.scalar(select(Refund.id).where(Refund.stripe_refund_id == report.id))


def status_of(report: RefundReport) -> str:
    """Return what a refund is here by what it is at Stripe."""
    return _STATUSES.get(report.status, SENT)


def has_failed(report: RefundReport) -> bool:
    """Tell whether the money stayed where it was, or came back."""
    return status_of(report) == FAILED


def _take_status(
    session: Session, refund_id: int, report: RefundReport, *, now: datetime
) -> bool:
    status = status_of(report)
    if status == FAILED:
        return refunds.fail(session, refund_id, failure=report.failure, now=now)
    return refunds.become(session, refund_id, status, now=now)


def _adopted(session: Session, report: RefundReport) -> int | None:
    """Find the refund that we asked for, whose answer has not come (yet)."""
    of_this_payment = Refund.payment_intent == report.payment_intent
    if report.key:
        is_asked_for = of_this_payment & (Refund.idempotency_key == report.key)
    elif has_failed(report):
        return None  # What failed by hand is still to be sent back by us.
    else:
        # By hand the whole of a payment was sent back that we were to send back.
        is_asked_for = (
            of_this_payment
            & (Refund.amount_cents == report.amount_cents)
            & (Refund.cause == AUTOMATIC)
        )
    return _adopt(session, is_asked_for, report)


def _adopt(
    session: Session, is_asked_for: ColumnElement[bool], report: RefundReport
) -> int | None:
    """
    Give a refund its id at Stripe; one that was refused there lives again.

    None if there is none without an id; another transaction may have given it one.
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
    if refund.status == FAILED:
        refund.status = SENT
        if refund.order_id is not None:
            _count(session, refund.order_id, refund.amount_cents)
    session.flush()
    return refund.id


def _count(session: Session, order_id: int, cents: int) -> None:
    if not refunds.count(session, order_id, cents):
        order = session.get_one(Order, order_id, populate_existing=True)
        raise RefundRefusedError(
            wanted_cents=cents, left_cents=order.amount_cents - order.refunded_cents
        )


def _note_stripes_own(
    session: Session, report: RefundReport, *, now: datetime
) -> int | None:
    """Note a refund that was made at Stripe; None if it is not of an order of ours."""
    order = session.scalar(
        select(Order).where(Order.payment_intent == report.payment_intent)
    )
    if order is None or not report.payment_intent:
        return None
    if has_failed(report):
        return _note_failed(session, report, order, now=now)
    entered = records.add_to_do(
        session,
        RESTOCK,
        f"restock-{report.id}",
        checkout_id=order.checkout_id,
        stripe_id=report.id,
        payment_intent=report.payment_intent,
        amount_cents=report.amount_cents,
        currency=report.currency,
        now=now,
    )
    if not entered:
        # Another message about it was quicker, at this very moment.
        return _known(session, report)
    _count(session, order.id, report.amount_cents)
    refund = _made_there(report, order, now=now)
    refunds.add(session, refund)
    return refund.id


def _note_failed(
    session: Session, report: RefundReport, order: Order, *, now: datetime
) -> int | None:
    """Note a refund that had failed before it was heard of: it has taken nothing."""
    entered = records.add_to_do(
        session,
        REFUND_FAILED,
        f"refund-failed-{report.id}",
        checkout_id=order.checkout_id,
        stripe_id=report.id,
        payment_intent=report.payment_intent,
        amount_cents=report.amount_cents,
        currency=report.currency,
        now=now,
    )
    if entered:
        refund = _made_there(report, order, now=now)
        refund.status, refund.failed_at, refund.failure = FAILED, now, report.failure
        session.add(refund)
        session.flush()
    return None


def _made_there(report: RefundReport, order: Order, *, now: datetime) -> Refund:
    return Refund(
        idempotency_key=f"stripe-{report.id}",
        checkout_id=order.checkout_id,
        order_id=order.id,
        stripe_session_id=order.stripe_session_id,
        payment_intent=report.payment_intent,
        stripe_refund_id=report.id,
        amount_cents=report.amount_cents,
        currency=report.currency,
        cause=STRIPE,
        customer_email=order.customer_email,
        created_at=now,
    )
