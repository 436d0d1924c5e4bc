"""Everything known about one checkout, and the order that it became, if any."""

from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.database.rows import view_of
from core.models.checkout import Checkout
from core.models.orders import Order
from core.models.refunds import Dispute, Refund
from core.orders import views as order_views
from core.orders.views import OrderView, Wanted
from core.owner import history
from core.owner.history import Step
from core.refunds import views as refund_views
from core.refunds.views import DisputeView, RefundView


@dataclass(frozen=True)
class Case:
    """A checkout as the owner looks at it; *order* is None if nothing was sold."""

    checkout_id: int
    order: OrderView | None
    wanted: Wanted
    refunds: tuple[RefundView, ...]
    disputes: tuple[DisputeView, ...]
    steps: tuple[Step, ...]

    @property
    def customer(self) -> str:
        """Who bought or paid, as far as known."""
        if self.order is not None:
            return self.order.customer_name or self.order.customer_email
        emails = (refund.customer_email for refund in self.refunds)
        return next(filter(None, emails), "")


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
    refunds = select(Refund).where(Refund.checkout_id == checkout_id)
    disputes = session.scalars(
        select(Dispute).where(Dispute.checkout_id == checkout_id).order_by(Dispute.id)
    )
    return Case(
        checkout_id=checkout_id,
        order=order_views.of_checkout(session, checkout_id),
        wanted=order_views.wanted(session, checkout_id),
        refunds=tuple(refund_views.selected(session, refunds.order_by(Refund.id))),
        disputes=tuple(view_of(DisputeView, row) for row in disputes),
        steps=tuple(history.steps(session, checkout_id)),
    )
