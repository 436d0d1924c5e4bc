"""Disputes: a bank wants a customer's payment back. Rules, as in `refunds`."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import records
from core.database.rows import change
from core.models.records import DISPUTED
from core.models.refunds import DISPUTE_LOST, DISPUTE_OVER, Dispute
from core.payments.data import DisputeReport
from core.refunds import progress


def take_report(session: Session, report: DisputeReport, *, now: datetime) -> bool:
    """
    Record a dispute as it is at Stripe; the owner has an entry from the first time on.

    When it has ended the entry comes up again, with a letter about the outcome. Each
    change is a step of its checkout. Safe to repeat; returns whether anything was new.
    A dispute about a payment that is not ours is ignored.
    """
    paid = progress.payment_of(session, report.payment_intent)
    if paid is None:
        return False
    key = f"dispute-{report.id}"
    is_new = _enter(session, report, paid.checkout_id, key, now=now)
    if not _note(session, report, now=now):
        return False
    said = {"cause": f"{report.status} ({report.reason})", "stripe_id": report.id}
    records.add_step(session, paid.checkout_id, "DISPUTE", now=now, **said)
    if report.status == DISPUTE_LOST:
        progress.tick_off_settled(session, report.payment_intent, now=now)
    if report.status in DISPUTE_OVER and not is_new:
        records.bring_up_again(session, key, report.status, now=now)
    session.flush()
    return True


def _enter(
    session: Session,
    report: DisputeReport,
    checkout_id: int,
    key: str,
    *,
    now: datetime,
) -> bool:
    """Insert a dispute and the owner's entry; False if both are there."""
    about: dict[str, Any] = {
        "checkout_id": checkout_id,
        "payment_intent": report.payment_intent,
        "amount_cents": report.amount_cents,
        "currency": report.currency,
    }
    if not records.add_to_do(
        session, DISPUTED, key, stripe_id=report.id, now=now, **about
    ):
        return False
    times = {"created_at": now, "updated_at": now}
    session.add(Dispute(stripe_dispute_id=report.id, status="", **about, **times))
    session.flush()
    return True


def _note(session: Session, report: DisputeReport, *, now: datetime) -> bool:
    """Record the state of a dispute; False if that is known, or it has ended."""
    is_news = Dispute.status.not_in((report.status, *DISPUTE_OVER))
    which = (Dispute.stripe_dispute_id == report.id) & is_news
    names = ("amount_cents", "reason", "status", "due_by")
    state = {name: getattr(report, name) for name in names}
    return change(session, Dispute, which, updated_at=now, **state) is not None
