"""
The read side for refunds and disputes.

Small frozen dataclasses, no rules. Money is cents, times are UTC.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.database.rows import view_of
from core.models.records import ToDo
from core.models.refunds import FAILED, Dispute, Refund
from core.refunds import owed
from core.refunds.progress import failure_keys


@dataclass(frozen=True)
class RefundView:
    """
    A refund: see models.refunds.Refund.

    *owed_cents* of one that has failed, unless the owner has ticked that off.
    """

    id: int
    checkout_id: int
    order_id: int | None
    stripe_session_id: str
    payment_intent: str
    stripe_refund_id: str | None
    amount_cents: int
    currency: str
    status: str
    cause: str
    reason: str
    who: str
    failure: str
    created_at: datetime
    customer_email: str
    owed_cents: int


@dataclass(frozen=True)
class DisputeView:
    """A dispute: see models.refunds.Dispute."""

    stripe_dispute_id: str
    checkout_id: int | None
    payment_intent: str
    amount_cents: int
    currency: str
    reason: str
    status: str
    due_by: datetime | None
    created_at: datetime


def refunds(session: Session, *, limit: int = 100) -> list[RefundView]:
    """List the refunds, newest first."""
    return selected(session, select(Refund).order_by(Refund.id.desc()).limit(limit))


def selected(session: Session, query: Select[Refund]) -> list[RefundView]:
    """Return the refunds that *query* selects."""
    rows = session.scalars(query).all()
    failed = [row for row in rows if row.status == FAILED]
    entries = {key: row.id for row in failed for key in failure_keys(row)}
    entered = session.scalars(
        select(ToDo.key).where(ToDo.key.in_(entries), ToDo.done_at.is_(None))
    )
    is_open = {entries[key] for key in entered}
    return [
        view_of(
            RefundView,
            row,
            owed_cents=owed.cents(session, row) if row.id in is_open else 0,
        )
        for row in rows
    ]


def disputes(session: Session, *, limit: int = 100) -> list[DisputeView]:
    """List the disputes, newest first."""
    query = select(Dispute).order_by(Dispute.id.desc()).limit(limit)
    return [view_of(DisputeView, row) for row in session.scalars(query)]
