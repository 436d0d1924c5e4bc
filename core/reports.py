"""
The read side for the owner: small frozen dataclasses, no rules.

Everything is counted and cut by the database. What a glance costs grows with the number
of products, not with the shop's past and not with how many are checking out: days that
are over are sums already, and what can be many is counted only so far. A search among
orders looks at all of them.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, func, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core import order_views, sales
from core.models import (
    FAILED,
    PENDING,
    READY,
    REQUESTED,
    REVIEW,
    SENT,
    Base,
    Checkout,
    Dispute,
    Mail,
    Order,
    OrderLine,
    Product,
    Refund,
    StockReservation,
    ToDo,
)
from core.order_views import OrderView
from core.refunds import again_key, failure_keys

MOST_COUNTED = 1000

V = TypeVar("V")


@dataclass(frozen=True)
class StockLevel:
    """A product as the owner sees it: stock, reserved, and with them what is free."""

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
    """A PENDING reservation; *awaits_payment* when a delayed payment is on its way."""

    checkout_id: int
    product_id: int
    product_name: str
    quantity: int
    unit_price_cents: int
    currency: str
    created_at: datetime
    expires_at: datetime
    awaits_payment: bool
    stripe_session_id: str | None


@dataclass(frozen=True)
class RefundView:
    """
    Money on its way back, and why: see models.Refund.

    *is_owed* when it has failed, was not tried again, and the owner has not ticked that
    off.
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
    is_owed: bool


@dataclass(frozen=True)
class ToDoView:
    """
    An entry for the owner: see models.ToDo.

    *customer* is whoever paid, as far as that is known. Where there is an order, it has
    its number and what was asked for it. *dispute* if it is about one.
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
    dispute: "DisputeView | None"


@dataclass(frozen=True)
class DisputeView:
    """A dispute: see models.Dispute."""

    stripe_dispute_id: str
    checkout_id: int | None
    payment_intent: str
    amount_cents: int
    currency: str
    reason: str
    status: str
    due_by: datetime | None
    created_at: datetime


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
    """
    The shop at a glance; *paid_cents* is what all orders together have brought.

    More than MOST_COUNTED checkouts are told as MOST_COUNTED + 1.
    """

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
    What a person has to look at: money that is not where it should be, letters that
    wait, and those of them that were tried before.

    More than MOST_COUNTED of a kind are told as MOST_COUNTED + 1.
    """

    orders_to_review: int
    refunds_open: int
    to_dos: int
    mails_unsent: int
    mails_refused: int


def open_reservations(session: Session, *, limit: int = 500) -> list[OpenReservation]:
    """List the PENDING reservations, the first to end on top."""
    # Each of these has a line, so that no more of them can be wanted.
    first = (
        select(Checkout.id)
        .where(_has(Checkout.status, PENDING))
        .order_by(Checkout.expires_at)
        .limit(limit)
    )
    return [
        OpenReservation(
            checkout_id=checkout.id,
            product_id=line.product_id,
            product_name=line.product_name,
            quantity=line.quantity,
            unit_price_cents=line.unit_price_cents,
            currency=line.currency,
            created_at=checkout.created_at,
            expires_at=checkout.expires_at,
            awaits_payment=checkout.awaits_payment,
            stripe_session_id=checkout.stripe_session_id,
        )
        for checkout, line in session.execute(
            select(Checkout, StockReservation)
            .join(StockReservation, StockReservation.checkout_id == Checkout.id)
            .where(Checkout.id.in_(first))
            .order_by(Checkout.expires_at, Checkout.id, StockReservation.product_id)
            .limit(limit)
        )
    ]


def refunds(
    session: Session, *, order_id: int | None = None, limit: int = 100
) -> list[RefundView]:
    """List the refunds, or those of one order, newest first."""
    query = select(Refund).order_by(Refund.id.desc()).limit(limit)
    if order_id is not None:
        query = query.where(Refund.order_id == order_id)
    return refund_views(session, query)


def refund_views(session: Session, query: Select[Refund]) -> list[RefundView]:
    """Return the refunds that *query* selects."""
    rows = session.scalars(query).all()
    failed = [row for row in rows if row.status == FAILED]
    again = {again_key(row.id, row.stripe_session_id): row.id for row in failed}
    entries = {key: row.id for row in failed for key in failure_keys(row)}
    tried = session.scalars(
        select(Refund.idempotency_key).where(Refund.idempotency_key.in_(again))
    )
    entered = session.scalars(
        select(ToDo.key).where(ToDo.key.in_(entries), ToDo.done_at.is_(None))
    )
    owed = {entries[key] for key in entered} - {again[key] for key in tried}
    return [view_of(RefundView, row, is_owed=row.id in owed) for row in rows]


def to_dos(session: Session, *, done: bool = False, limit: int = 100) -> list[ToDoView]:
    """List the owner's entries, the oldest first, or those ticked off, newest first."""
    query = _TO_DOS.limit(limit)
    if done:
        query = query.where(ToDo.done_at.is_not(None)).order_by(ToDo.done_at.desc())
    else:
        query = query.where(ToDo.done_at.is_(None)).order_by(ToDo.created_at)
    return _to_do_views(session, query)


def to_do(session: Session, to_do_id: int) -> ToDoView | None:
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
    return [
        view_of(
            ToDoView,
            entry,
            customer=_name_of(order) if order else payers.get(entry.checkout_id, ""),
            dispute=disputed.get(entry.stripe_id),
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


def disputes(session: Session, *, limit: int = 100) -> list[DisputeView]:
    """List the disputes, newest first."""
    query = select(Dispute).order_by(Dispute.id.desc()).limit(limit)
    return [view_of(DisputeView, row) for row in session.scalars(query)]


def mails(session: Session, *, limit: int = 100) -> list[MailView]:
    """List the letters, newest first; those that were not sent on top."""
    query = select(Mail).order_by(Mail.status == SENT, Mail.id.desc()).limit(limit)
    return [view_of(MailView, row) for row in session.scalars(query)]


def view_of(kind: type[V], row: Base, **more: object) -> V:
    """Fill a view from the columns of the same names."""
    names = {each.name for each in fields(kind)} - more.keys()  # type: ignore[arg-type]  # all views are dataclasses
    return kind(**{name: getattr(row, name) for name in names}, **more)


def totals(session: Session, now: datetime) -> Totals:
    """Sum up the shop."""
    products, stock, reserved = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Product.stock), 0),
            func.coalesce(func.sum(Product.reserved), 0),
        ).select_from(Product)
    ).one()
    orders, paid_cents = sales.total(session)
    pending = _has(Checkout.status, PENDING)
    due = Checkout.expires_at
    return Totals(
        products=products,
        stock=int(stock),
        reserved=int(reserved),
        open_checkouts=_count(session, due, pending),
        overdue_checkouts=_count(session, due, pending, due <= now),
        orders=orders,
        paid_cents=paid_cents,
    )


def attention(session: Session) -> Attention:
    """Count what a person has to look at."""
    return Attention(
        orders_to_review=_count(session, Order.created_at, _has(Order.status, REVIEW)),
        refunds_open=_count(session, Refund.created_at, _has(Refund.status, REQUESTED)),
        to_dos=_count(session, ToDo.created_at, ToDo.done_at.is_(None)),
        mails_unsent=_count(session, Mail.due_at, _has(Mail.status, READY)),
        mails_refused=_count(
            session, Mail.due_at, _has(Mail.status, READY), Mail.error != ""
        ),
    )


def _has(column: InstrumentedAttribute[str], status: str) -> ColumnElement[bool]:
    """Spell the status out: only then it is sure that the index for it is taken."""
    return column == literal(status, literal_execute=True)


def _count(
    session: Session,
    order: InstrumentedAttribute[datetime],
    *conditions: ColumnElement[bool],
) -> int:
    """
    Count rows up to MOST_COUNTED + 1, along the index of these rows by *order*.

    Without an order PostgreSQL may look for the few newest among all that ever were.
    """
    some = select(order).where(*conditions).order_by(order).limit(MOST_COUNTED + 1)
    return session.scalars(select(func.count()).select_from(some.subquery())).one()


def stock_levels(
    session: Session, *, text: str = "", limit: int = 500
) -> list[StockLevel]:
    """List products with *text* in name or SKU: most reserved, then least available."""
    query = select(
        Product.id, Product.sku, Product.name, Product.stock, Product.reserved
    )
    if text:
        query = query.where(
            or_(
                Product.name.icontains(text, autoescape=True),
                Product.sku.icontains(text, autoescape=True),
            )
        )
    query = query.order_by(
        Product.reserved.desc(),
        Product.stock - Product.reserved,
        Product.name,
        Product.id,
    )
    return [StockLevel(*row) for row in session.execute(query.limit(limit))]


def orders(
    session: Session, *, text: str = "", status: str = "", limit: int = 100
) -> list[OrderView]:
    """
    List the newest orders first, or only those of a *status* or with *text* in them.

    That is their number, customer, Stripe session, payment or the name of a product.
    """
    query = select(Order).order_by(Order.id.desc()).limit(limit)
    if status:
        query = query.where(Order.status == status)
    if not text:
        return order_views.views(session, query)
    sold = select(OrderLine.order_id).where(
        OrderLine.product_name.icontains(text, autoescape=True)
    )
    found = [
        Order.customer_name.icontains(text, autoescape=True),
        Order.customer_email.icontains(text, autoescape=True),
        Order.stripe_session_id.icontains(text, autoescape=True),
        Order.payment_intent.icontains(text, autoescape=True),
        Order.id.in_(sold),
    ]
    number = text.removeprefix("#")
    if number.isdecimal() and len(number) < 18:
        found.append(Order.id == int(number))
    return order_views.views(session, query.where(or_(*found)))
