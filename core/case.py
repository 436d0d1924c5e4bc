"""All that is known of one checkout and the order that it became, if it did."""

from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core import history
from core.history import Step
from core.models import Checkout, Dispute, Order, Refund
from core.queries import OrderView, order_views
from core.reports import DisputeView, RefundView, view_of


@dataclass(frozen=True)
class Case:
    """A checkout as the owner looks at it; *order* is None if nothing was sold."""

    checkout_id: int
    order: OrderView | None
    refunds: tuple[RefundView, ...]
    disputes: tuple[DisputeView, ...]
    steps: tuple[Step, ...]


def of_order(session: Session, number: int) -> Case | None:
    """Find the case of an order by its number."""
    return _case(session, select(Checkout.id).join(Order).where(Order.id == number))


def of_checkout(session: Session, checkout_id: int) -> Case | None:
    """Find the case of a checkout by its number."""
    return _case(session, select(Checkout.id).where(Checkout.id == checkout_id))


def _case(session: Session, query: Select[int]) -> Case | None:
    checkout_id = session.scalar(query)
    if checkout_id is None:
        return None
    orders = order_views(session, select(Order).where(Order.checkout_id == checkout_id))
    refunds = session.scalars(
        select(Refund).where(Refund.checkout_id == checkout_id).order_by(Refund.id)
    )
    disputes = session.scalars(
        select(Dispute).where(Dispute.checkout_id == checkout_id).order_by(Dispute.id)
    )
    return Case(
        checkout_id=checkout_id,
        order=next(iter(orders), None),
        refunds=tuple(view_of(RefundView, row) for row in refunds),
        disputes=tuple(view_of(DisputeView, row) for row in disputes),
        steps=tuple(history.steps(session, checkout_id)),
    )
