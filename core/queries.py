"""
The read side for customers: small frozen dataclasses, no rules.

Availability is the product row itself, never a sum. Money is cents, times are UTC.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from core.models import (
    CONFIRMED,
    PENDING,
    Checkout,
    Order,
    OrderLine,
    Product,
    StockReservation,
)

# Of the holds that end next, so many are looked at to tell when units may be free.
SOONEST = 5_000


@dataclass(frozen=True)
class ProductView:
    """A product as a customer sees it; *free_at* says when held units may come back."""

    id: int
    slug: str
    sku: str
    name: str
    price_cents: int
    currency: str
    vat_bp: int
    stock: int
    reserved: int
    description: str
    kind: str
    vendor: str
    image: str
    image_alt: str
    free_at: datetime | None = None

    @property
    def available(self) -> int:
        """Units that can be reserved now."""
        return self.stock - self.reserved


@dataclass(frozen=True)
class HoldView:
    """A visitor's own open checkout; *units* by product id are his already."""

    checkout_id: int
    stripe_session_id: str | None
    expires_at: datetime
    units: Mapping[int, int]


@dataclass(frozen=True)
class OrderLineView:
    """A line of an order; *unit_price_cents* includes VAT."""

    product_id: int
    name: str
    quantity: int
    unit_price_cents: int
    vat_bp: int
    returned: int = 0

    @property
    def total_cents(self) -> int:
        """What the line costs, VAT included."""
        return self.quantity * self.unit_price_cents


@dataclass(frozen=True)
class OrderView:
    """
    An order with its lines; *vat* has the VAT within the amount, by rate.

    *shipping_address* has Stripe's names (line1, postal_code, city, country …).
    """

    number: int
    checkout_id: int
    token: str
    status: str
    was_late: bool
    created_at: datetime
    amount_cents: int
    currency: str
    promised_cents: int
    promised_currency: str
    customer_name: str
    customer_email: str
    stripe_session_id: str
    payment_intent: str
    discount_cents: int
    promotion_code: str
    shipping_cents: int
    shipping_option: str
    tax_cents: int
    refunded_cents: int
    customer_phone: str
    shipping_name: str
    shipping_address: Mapping[str, str]
    fulfilled_at: datetime | None
    lines: tuple[OrderLineView, ...]

    @property
    def goods_cents(self) -> int:
        """What the lines cost together, before a discount and without shipping."""
        return sum(line.total_cents for line in self.lines)

    @property
    def vat(self) -> list[tuple[int, int]]:
        """(rate in basis points, VAT in cents) for each rate, highest first."""
        lines = [(line.vat_bp, line.total_cents) for line in self.lines]
        lines += _shared_out(self.shipping_cents - self.discount_cents, lines)
        return vat_within(lines)


def _shared_out(cents: int, lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """
    Share shipping and discount out over the rates, as the goods do by their price.

    What is left by rounding goes to the highest rate. (Belastingdienst: the cost of
    sending goods follows the goods; a discount lowers what is paid for all of them.)
    """
    total = sum(amount for _, amount in lines)
    if not cents or not total:
        return []
    shares = [(rate, cents * amount // total) for rate, amount in lines]
    left = cents - sum(share for _, share in shares)
    return [*shares, (max(rate for rate, _ in lines), left)]


def vat_within(lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """
    Return the VAT inside amounts that include it, (rate, cents) for each rate.

    *lines* are (rate in basis points, amount in cents). Rounded half up once for each
    rate, not for each line.
    """
    gross: defaultdict[int, int] = defaultdict(int)
    for rate, cents in lines:
        gross[rate] += cents
    return [
        (rate, (cents * rate + (10_000 + rate) // 2) // (10_000 + rate))
        for rate, cents in sorted(gross.items(), reverse=True)
    ]


def products(session: Session, *, text: str = "") -> list[ProductView]:
    """List what is on sale by name, or only what has *text* in its name or kind."""
    query = select(Product).where(Product.is_listed).order_by(Product.id)
    if text:
        query = query.where(
            or_(
                Product.name.icontains(text, autoescape=True),
                Product.kind.icontains(text, autoescape=True),
            )
        )
    return _product_views(session, query)


def product(session: Session, slug: str) -> ProductView | None:
    """Find a product on sale by the last part of its address."""
    query = select(Product).where(Product.slug == slug, Product.is_listed)
    return next(iter(_product_views(session, query)), None)


def products_in(session: Session, ids: Collection[int]) -> dict[int, ProductView]:
    """Return the products on sale of these *ids*, by id."""
    if not ids:
        return {}
    query = select(Product).where(Product.id.in_(ids), Product.is_listed)
    return {view.id: view for view in _product_views(session, query)}


def _product_views(session: Session, query: Select[Product]) -> list[ProductView]:
    return [
        ProductView(
            id=row.id,
            slug=row.slug,
            sku=row.sku,
            name=row.name,
            price_cents=row.price_cents,
            currency=row.currency,
            vat_bp=row.vat_bp,
            stock=row.stock,
            reserved=row.reserved,
            description=row.description,
            kind=row.kind,
            vendor=row.vendor,
            image=row.image,
            image_alt=row.image_alt,
        )
        for row in session.scalars(query)
    ]


def free_at(
    session: Session, product_ids: Collection[int], *, until: datetime
) -> dict[int, datetime]:
    """
    Tell when the first held units of these products may come back, *until* then.

    Holds that end later wait for a delayed payment: their end promises nothing. Only
    the SOONEST holds of the shop are looked at, so a page costs the same in any rush;
    of a product that is not among them it is not known.
    """
    if not product_ids:
        return {}
    soonest = (
        select(StockReservation.product_id, StockReservation.expires_at)
        .where(StockReservation.status == PENDING, StockReservation.expires_at <= until)
        .order_by(StockReservation.expires_at)
        .limit(SOONEST)
        .subquery()
    )
    rows = session.execute(
        select(soonest.c.product_id, func.min(soonest.c.expires_at))
        .where(soonest.c.product_id.in_(product_ids))
        .group_by(soonest.c.product_id)
    )
    return {row[0]: row[1] for row in rows}


def is_overdue(session: Session, product_ids: Collection[int], now: datetime) -> bool:
    """Tell whether units of these products are held for too long: to be reclaimed."""
    overdue = select(StockReservation.id).where(
        StockReservation.product_id.in_(product_ids),
        StockReservation.status == PENDING,
        StockReservation.expires_at <= now,
    )
    return session.scalar(overdue.limit(1)) is not None


def open_hold(session: Session, visitor: str, now: datetime) -> HoldView | None:
    """Return the visitor's own checkout that can still be paid."""
    row = session.scalar(
        select(Checkout).where(
            Checkout.visitor == visitor,
            Checkout.status == PENDING,
            ~Checkout.awaits_payment,
            Checkout.expires_at > now,
        )
    )
    if row is None:
        return None
    lines = session.execute(
        select(StockReservation.product_id, StockReservation.quantity).where(
            StockReservation.checkout_id == row.id
        )
    )
    units = {line[0]: line[1] for line in lines}
    return HoldView(row.id, row.stripe_session_id, row.expires_at, units)


def bought_units(session: Session, checkout_id: int) -> dict[int, int]:
    """
    Return product id to units of a checkout that was paid for, else nothing.

    A delayed payment that is on its way counts: its customer has done his part.
    """
    is_bought = or_(
        Checkout.status == CONFIRMED,
        and_(Checkout.status == PENDING, Checkout.awaits_payment),
    )
    rows = session.execute(
        select(StockReservation.product_id, StockReservation.quantity)
        .join(Checkout, Checkout.id == StockReservation.checkout_id)
        .where(Checkout.id == checkout_id, is_bought)
    )
    return dict(rows.all())


def order_of_checkout(session: Session, checkout_id: int) -> OrderView | None:
    """Find the order that a checkout became."""
    return _order(session, select(Order).where(Order.checkout_id == checkout_id))


def order(session: Session, number: int) -> OrderView | None:
    """Find an order by its number."""
    return _order(session, select(Order).where(Order.id == number))


def order_by_token(session: Session, token: str) -> OrderView | None:
    """Find an order by the secret in its address."""
    return _order(session, select(Order).where(Order.token == token))


def _order(session: Session, query: Select[Order]) -> OrderView | None:
    return next(iter(order_views(session, query)), None)


def order_views(session: Session, query: Select[Order]) -> list[OrderView]:
    """Return the orders that *query* selects, with their lines."""
    rows = session.scalars(query).all()
    lines: defaultdict[int, list[OrderLineView]] = defaultdict(list)
    for line in session.scalars(
        select(OrderLine)
        .where(OrderLine.order_id.in_([row.id for row in rows]))
        .order_by(OrderLine.id)
    ):
        lines[line.order_id].append(
            OrderLineView(
                line.product_id,
                line.product_name,
                line.quantity,
                line.unit_price_cents,
                line.vat_bp,
                line.returned,
            )
        )
    return [
        OrderView(
            number=row.id,
            checkout_id=row.checkout_id,
            token=row.token,
            status=row.status,
            was_late=row.was_late,
            created_at=row.created_at,
            amount_cents=row.amount_cents,
            currency=row.currency,
            promised_cents=row.promised_cents,
            promised_currency=row.promised_currency,
            customer_name=row.customer_name,
            customer_email=row.customer_email,
            stripe_session_id=row.stripe_session_id,
            payment_intent=row.payment_intent or "",
            discount_cents=row.discount_cents,
            promotion_code=row.promotion_code,
            shipping_cents=row.shipping_cents,
            shipping_option=row.shipping_option,
            tax_cents=row.tax_cents,
            refunded_cents=row.refunded_cents,
            customer_phone=row.customer_phone,
            shipping_name=row.shipping_name,
            shipping_address=json.loads(row.shipping_address or "{}"),
            fulfilled_at=row.fulfilled_at,
            lines=tuple(lines[row.id]),
        )
        for row in rows
    ]
