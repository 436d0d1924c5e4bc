"""
The read side for products on sale.

Availability is read from the product row, never summed. Money is cents, times are UTC.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.database.rows import view_of
from core.models.base import contains
from core.models.catalogue import Product


@dataclass(frozen=True)
class ProductView:
    """A product as customers see it; *free_at* is when held units may come back."""

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
    free_at: datetime | None

    @property
    def available(self) -> int:
        """Units that can be reserved now."""
        return self.stock - self.reserved


def listed(session: Session, *, text: str = "") -> list[ProductView]:
    """List what is on sale by name, or only what has *text* in its name or kind."""
    query = select(Product).where(Product.is_listed).order_by(Product.id)
    if text:
        query = query.where(contains(text, Product.name, Product.kind))
    return _product_views(session, query)


def by_slug(session: Session, slug: str) -> ProductView | None:
    """Find a product on sale by the last part of its address."""
    query = select(Product).where(Product.slug == slug, Product.is_listed)
    return next(iter(_product_views(session, query)), None)


def by_ids(session: Session, ids: Collection[int]) -> dict[int, ProductView]:
    """Return the products on sale of these *ids*, by id."""
    if not ids:
        return {}
    query = select(Product).where(Product.id.in_(ids), Product.is_listed)
    return {view.id: view for view in _product_views(session, query)}


def names_of(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Return the names of these products by id, also of those not on sale any more."""
    if not ids:
        return {}
    rows = session.execute(select(Product.id, Product.name).where(Product.id.in_(ids)))
    return dict(rows.all())


def _product_views(session: Session, query: Select[Product]) -> list[ProductView]:
    rows = session.scalars(query)
    return [view_of(ProductView, row, free_at=None) for row in rows]


def has_products(session: Session) -> bool:
    """Tell whether there is any product, on sale or not."""
    return session.scalar(select(Product.id).limit(1)) is not None


def is_known(session: Session, product_id: int) -> bool:
    """Tell whether there is a product of this id, on sale or not."""
    return session.get(Product, product_id) is not None
