"""Disputes: a bank wants a customer's payment back. Rules, as in `refunds`."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import records
from core.database.rows import change
from core.models.orders import Order
from core.models.records import DISPUTED
from core.models.refunds import DISPUTE_LOST, DISPUTE_OVER, Dispute, Refund
from core.payments.data import DisputeReport
from core.refunds import progress


def take_report(session: Session, report: DisputeReport, *, now: datetime) -> bool:
    """
    Record a dispute as it is at Stripe; the owner has an entry from the first time on.

    When it has ended the entry comes up again, with a letter about the outcome. Each
    change is a step of its checkout. Safe to repeat; returns whether anything was new.
    A dispute about a payment that is not ours is ignored.
    """
    checkout_id = _checkout_of(session, report.payment_intent)
    if checkout_id is None:
        return False
    is_new = _enter(session, report, checkout_id, now=now)
    if not _note(session, report, now=now):
        return False
    records.add_step(
        session,
        checkout_id,
        "DISPUTE",
        cause=f"{report.status} ({report.reason})",
        stripe_id=report.id,
        now=now,
    )
    if report.status == DISPUTE_LOST:
        progress.tick_off_settled(session, report.payment_intent, now=now)
    if report.status in DISPUTE_OVER and not is_new:
        records.bring_up_again(session, _key(report), report.status, now=now)
    session.flush()
    return True


def _key(report: DisputeReport) -> str:
    return f"dispute-{report.id}"


def _enter(
    session: Session, report: DisputeReport, checkout_id: int, *, now: datetime
) -> bool:
    """Insert a dispute and the owner's entry; False if both are there."""
    is_new = records.add_to_do(
        session,
        DISPUTED,
        _key(report),
        checkout_id=checkout_id,
        stripe_id=report.id,
        payment_intent=report.payment_intent,
        amount_cents=report.amount_cents,
        currency=report.currency,
        now=now,
    )
    if is_new:
        session.add(
            Dispute(
                stripe_dispute_id=report.id,
                payment_intent=report.payment_intent,
                checkout_id=checkout_id,
                amount_cents=report.amount_cents,
                currency=report.currency,
                status="",
                created_at=now,
                updated_at=now,
            )
        )
        session.flush()
    return is_new


def _note(session: Session, report: DisputeReport, *, now: datetime) -> bool:
    """Record the state of a dispute; False if that is known, or it has ended."""
    is_news = Dispute.status.not_in((report.status, *DISPUTE_OVER))
    changed = change(
        session,
        Dispute,
        (Dispute.stripe_dispute_id == report.id) & is_news,
        amount_cents=report.amount_cents,
        reason=report.reason,
        status=report.status,
        due_by=report.due_by,
        updated_at=now,
    )
    return changed is not None


def _checkout_of(session: Session, payment_intent: str) -> int | None:
    """Find whose payment it is: an order's, or one that came too late."""
    if not payment_intent:
        return None
    return session.scalar(
        select(Order.checkout_id).where(Order.payment_intent == payment_intent)
    ) or session.scalar(
        select(Refund.checkout_id).where(Refund.payment_intent == payment_intent)
    )
