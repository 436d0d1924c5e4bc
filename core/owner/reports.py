"""
The read side for the owner: small frozen dataclasses, no rules.

The database counts and limits. The cost of the overview grows with the number of
products, not with the shop's past or its open checkouts: past days are summed already,
and more than MOST_COUNTED of a kind count as MOST_COUNTED + 1. A search reads all
orders.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.database.rows import view_of
from core.models.base import contains
from core.models.catalogue import Product
from core.models.checkout import PENDING, Checkout
from core.models.mail import READY, SENDING, Mail
from core.models.orders import REVIEW, Order, OrderLine
from core.models.records import ToDo
from core.models.refunds import FAILED, REQUESTED, SENT, Refund
from core.models.stock import StockReservation
from core.orders import sales
from core.orders import views as order_views
from core.orders.views import OrderView

MOST_COUNTED = 1000
# For how long the overview tells of a letter that did not arrive; its page always does.
TOLD_FOR = timedelta(days=7)
_NOT_SENT = (SENDING, FAILED)


@dataclass(frozen=True)
class StockLevel:
    """A product as the owner sees it; quantities are units."""

    product_id: int
    sku: str
    name: str
    stock: int
    reserved: int

    @property
    def available(self) -> int:
        """Units that can be reserved now."""
        return self.stock - self.reserved


@dataclass(frozen=True)
class OpenReservation:
    """A PENDING reservation; *awaits_payment* while a delayed payment is under way."""

    checkout_id: int
    product_id: int
    product_name: str
    quantity: int
    unit_price_cents: int
    currency: str
    created_at: datetime
    expires_at: datetime
    awaits_payment: bool


@dataclass(frozen=True)
class MailView:
    """A letter in the outbox: see models.Mail."""

    id: int
    kind: str
    key: str
    checkout_id: int | None
    recipient: str
    status: str
    tries: int
    created_at: datetime
    sent_at: datetime | None
    error: str


@dataclass(frozen=True)
class Totals:
    """The shop at a glance; *paid_cents* is the sum of all orders."""

    products: int
    stock: int
    reserved: int
    open_checkouts: int
    overdue_checkouts: int
    orders: int
    paid_cents: int


@dataclass(frozen=True)
class Attention:
    """
    What a person has to look at.

    *mails_unsent* wait, *mails_refused* of them after a try; *mails_not_arrived* in the
    last TOLD_FOR, or may not have.
    """

    orders_to_review: int
    refunds_open: int
    to_dos: int
    mails_unsent: int
    mails_refused: int
    mails_not_arrived: int


def open_reservations(session: Session, *, limit: int = 500) -> list[OpenReservation]:
    """List the PENDING reservations, the first to end on top."""
    # Each checkout has at least one line, so *limit* of them are enough.
    first = select(Checkout.id).where(_has(Checkout.status, PENDING))
    query = (
        select(Checkout, StockReservation)
        .join(StockReservation, StockReservation.checkout_id == Checkout.id)
        .where(Checkout.id.in_(first.order_by(Checkout.expires_at).limit(limit)))
        .order_by(Checkout.expires_at, Checkout.id, StockReservation.product_id)
        .limit(limit)
    )
    return [
        view_of(
            OpenReservation,
            line,
            created_at=checkout.created_at,
            expires_at=checkout.expires_at,
            awaits_payment=checkout.awaits_payment,
        )
        for checkout, line in session.execute(query)
    ]


def mails(session: Session, *, limit: int = 100) -> list[MailView]:
    """List the letters, newest first; those that were not sent on top."""
    query = select(Mail).order_by(Mail.status == SENT, Mail.id.desc()).limit(limit)
    return [view_of(MailView, row) for row in session.scalars(query)]


def totals(session: Session, now: datetime) -> Totals:
    """Sum up the shop."""
    products, stock, reserved = session.execute(
        select(func.count(), func.sum(Product.stock), func.sum(Product.reserved))
    ).one()
    orders, paid_cents = sales.total(session)
    pending = _has(Checkout.status, PENDING)
    due = Checkout.expires_at
    return Totals(
        products=products,
        stock=int(stock or 0),
        reserved=int(reserved or 0),
        open_checkouts=_count(session, due, pending),
        overdue_checkouts=_count(session, due, pending, due <= now),
        orders=orders,
        paid_cents=paid_cents,
    )


def attention(session: Session, now: datetime) -> Attention:
    """Count what a person has to look at."""
    count = partial(_count, session)
    waits = _has(Mail.status, READY)
    return Attention(
        orders_to_review=count(Order.created_at, _has(Order.status, REVIEW)),
        refunds_open=count(Refund.created_at, _has(Refund.status, REQUESTED)),
        to_dos=count(ToDo.created_at, ToDo.done_at.is_(None)),
        mails_unsent=count(Mail.due_at, waits),
        mails_refused=count(Mail.due_at, waits, Mail.error != ""),
        mails_not_arrived=count(
            Mail.created_at,
            # Written like its index; a letter being sent now is due later.
            Mail.status.in_(literal(each, literal_execute=True) for each in _NOT_SENT),
            Mail.due_at <= now,
            Mail.created_at > now - TOLD_FOR,
        ),
    )


def _has(column: InstrumentedAttribute[str], status: str) -> ColumnElement[bool]:
    """Write the status as a literal, so that its partial index is sure to be used."""
    return column == literal(status, literal_execute=True)


def _count(
    session: Session,
    order: InstrumentedAttribute[datetime],
    *conditions: ColumnElement[bool],
) -> int:
    """
    Count rows along their index by *order*.

    Without one PostgreSQL may scan all rows that ever were for the few open ones.
    """
    some = select(order).where(*conditions).order_by(order).limit(MOST_COUNTED + 1)
    return session.scalars(select(func.count()).select_from(some.subquery())).one()


def stock_levels(
    session: Session, *, text: str = "", limit: int = 500
) -> list[StockLevel]:
    """List products with *text* in name or SKU: most reserved, then least available."""
    query = select(
        Product.id, Product.sku, Product.name, Product.stock, Product.reserved
    ).order_by(
        *(Product.reserved.desc(), Product.stock - Product.reserved),
        *(Product.name, Product.id),
    )
    if text:
        query = query.where(contains(text, Product.name, Product.sku))
    return [StockLevel(*row) for row in session.execute(query.limit(limit))]


def orders(
    session: Session, *, text: str = "", status: str = "", limit: int = 100
) -> list[OrderView]:
    """
    List the newest orders first, or only those of a *status* or with *text* in them:
    in their number, customer, Stripe session, payment or the name of a product.
    """
    query = select(Order).order_by(Order.id.desc()).limit(limit)
    if status:
        query = query.where(Order.status == status)
    if not text:
        return order_views.views(session, query)
    sold = select(OrderLine.order_id).where(contains(text, OrderLine.product_name))
    found = Order.id.in_(sold) | contains(
        text,
        Order.customer_name,
        Order.customer_email,
        Order.stripe_session_id,
        Order.payment_intent,
    )
    number = text.removeprefix("#")
    if number.isdecimal() and len(number) < 18:
        found |= Order.id == int(number)
    return order_views.views(session, query.where(found))
