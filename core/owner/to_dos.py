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
from core.orders.views import OrderView
from core.refunds.views import DisputeView


@dataclass(frozen=True)
class ToDoView:
    """
    An entry for the owner: see models.ToDo.

    *customer* is whoever paid, as far as known. What was asked is that of its order, if
    there is one; *is_order_unpaid* if nothing of its payment is left.
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
    query = select(ToDo).limit(limit)
    if done:
        query = query.where(ToDo.done_at.is_not(None)).order_by(ToDo.done_at.desc())
    else:
        query = query.where(ToDo.done_at.is_(None)).order_by(ToDo.created_at)
    return _views(session, query)


def entry(session: Session, to_do_id: int) -> ToDoView | None:
    """Find an entry for the owner by its number."""
    query = select(ToDo).where(ToDo.id == to_do_id)
    return next(iter(_views(session, query)), None)


_NO_ORDER = {
    "order_id": None,
    "customer": "",
    "asked_cents": 0,
    "asked_currency": "",
    "is_order_unpaid": False,
}


def _views(session: Session, query: Select[ToDo]) -> list[ToDoView]:
    rows = session.scalars(query).all()
    ids = [row.checkout_id for row in rows]
    sold = order_views.views(session, select(Order).where(Order.checkout_id.in_(ids)))
    refunds = session.scalars(select(Refund).where(Refund.checkout_id.in_(ids)))
    is_about = Dispute.stripe_dispute_id.in_([row.stripe_id for row in rows])
    disputes = session.scalars(select(Dispute).where(is_about))
    disputed = {row.stripe_dispute_id: view_of(DisputeView, row) for row in disputes}
    about: dict[int | None, dict[str, object]] = {
        **{row.checkout_id: {"customer": row.customer_email} for row in refunds},
        **{order.checkout_id: _about(order) for order in sold},
    }
    return [
        view_of(
            ToDoView,
            row,
            dispute=disputed.get(row.stripe_id),
            **(_NO_ORDER | about.get(row.checkout_id, {})),
        )
        for row in rows
    ]


def _about(order: OrderView) -> dict[str, object]:
    cents = order.promised_cents - order.discount_cents + order.shipping_cents
    return {
        "order_id": order.number,
        "customer": order.customer_name or order.customer_email,
        "asked_cents": cents,
        "asked_currency": order.promised_currency,
        "is_order_unpaid": not order.left_cents,
    }
