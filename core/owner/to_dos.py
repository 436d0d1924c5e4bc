"""
The owner's entries: what a person has to look at, and what it is about.

Small frozen dataclasses, no rules. Money is cents, times are UTC.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.database.rows import view_of
from core.models.orders import Order
from core.models.records import ToDo
from core.models.refunds import Dispute, Refund
from core.orders import views as order_views
from core.refunds.views import DisputeView


@dataclass(frozen=True)
class ToDoView:
    """
    An entry for the owner: see models.ToDo.

    *customer* is whoever paid, as far as known. *order_id* and what was asked are those
    of its order, if there is one; *is_order_unpaid* if nothing of its payment is left.
    """

    id: int
    kind: str
    checkout_id: int | None
    order_id: int | None
    stripe_id: str
    payment_intent: str
    amount_cents: int
    currency: str
    created_at: datetime
    done_at: datetime | None
    done_by: str
    customer: str
    asked_cents: int
    asked_currency: str
    dispute: DisputeView | None
    is_order_unpaid: bool


def entries(
    session: Session, *, done: bool = False, limit: int = 100
) -> list[ToDoView]:
    """List the owner's entries, the oldest first, or those ticked off, newest first."""
    query = _TO_DOS.limit(limit)
    if done:
        query = query.where(ToDo.done_at.is_not(None)).order_by(ToDo.done_at.desc())
    else:
        query = query.where(ToDo.done_at.is_(None)).order_by(ToDo.created_at)
    return _to_do_views(session, query)


def entry(session: Session, to_do_id: int) -> ToDoView | None:
    """Find an entry for the owner by its number."""
    query = _TO_DOS.where(ToDo.id == to_do_id)
    return next(iter(_to_do_views(session, query)), None)


_TO_DOS = select(ToDo, Order).outerjoin(Order, Order.checkout_id == ToDo.checkout_id)


def _to_do_views(session: Session, query: Select[ToDo, Order | None]) -> list[ToDoView]:
    rows = session.execute(query).all()
    payers: dict[int | None, str] = dict(
        session.execute(
            select(Refund.checkout_id, Refund.customer_email).where(
                Refund.checkout_id.in_([entry.checkout_id for entry, _ in rows])
            )
        ).all()
    )
    disputed = {
        row.stripe_dispute_id: view_of(DisputeView, row)
        for row in session.scalars(
            select(Dispute).where(
                Dispute.stripe_dispute_id.in_([entry.stripe_id for entry, _ in rows])
            )
        )
    }
    ids = [order.id for _, order in rows if order]
    orders = order_views.views(session, select(Order).where(Order.id.in_(ids)))
    unpaid = {order.number for order in orders if not order.left_cents}
    return [
        view_of(
            ToDoView,
            entry,
            customer=_name_of(order) if order else payers.get(entry.checkout_id, ""),
            dispute=disputed.get(entry.stripe_id),
            is_order_unpaid=order is not None and order.id in unpaid,
            **_asked_of(order),
        )
        for entry, order in rows
    ]


def _name_of(order: Order) -> str:
    return order.customer_name or order.customer_email


def _asked_of(order: Order | None) -> dict[str, object]:
    if order is None:
        return {"order_id": None, "asked_cents": 0, "asked_currency": ""}
    cents = order.promised_cents - order.discount_cents + order.shipping_cents
    return {
        "order_id": order.id,
        "asked_cents": cents,
        "asked_currency": order.promised_currency,
    }
