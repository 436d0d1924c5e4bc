"""
The read side for customers: small frozen dataclasses, no rules.

Availability is the product row itself, never a sum. Money is cents, times are UTC.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from core.models.catalogue import Product
from core.models.checkout import CONFIRMED, PENDING, Checkout
from core.models.stock import StockReservation

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
