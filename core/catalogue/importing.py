"""
Products in, by product files: whole files or nothing.

A file tells how many units there should be, not how many were sold since. So the
difference to what files told before is booked: the same file again changes nothing, and
a file from before a sale does not bring the sold units back.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from core.catalogue.product_file import LARGEST_NUMBER, ProductRow, parse
from core.database.engine import is_postgresql
from core.database.locks import IMPORT_KEY
from core.errors import CatalogueError
from core.models.catalogue import Product
from core.models.stock import ADJUSTED, RECEIVED, StockMovement

LONGEST_SLUG = 200
Movement = dict[str, Any]
# The columns that each file sets again; stock is booked, not set.
DESCRIBED = (
    *("title", "name", "option_names", "sku", "price_cents", "description", "kind"),
    *("vendor", "tags", "image", "image_alt", "is_listed"),
)


@dataclass(frozen=True)
class ImportReport:
    """Counts of products; *stock_set* are those whose stock changed."""

    created: int
    updated: int
    unchanged: int
    stock_set: int


@dataclass(frozen=True)
class _Change:
    """What *row* changes of the product *id*; *difference* is units in or out."""

    id: int
    row: ProductRow
    difference: int
    told: int | None

    def parameters(self) -> dict[str, Any]:
        return {
            "which": self.id,
            "difference": self.difference,
            "least": -self.difference,
            "most": LARGEST_NUMBER - max(self.difference, 0),
            "told": self.told,
            **{f"new_{column}": getattr(self.row, column) for column in DESCRIBED},
        }


def import_products(
    session: Session, content: bytes, *, now: datetime, who: str = ""
) -> ImportReport:
    """
    Bring the catalogue up to the product file *content*, all of it or nothing.

    Raises CatalogueError, with the place, for a file that cannot be understood and for
    a quantity that would leave less stock than is reserved. Products that the file does
    not name stay as they are. Safe to repeat: the same file again changes nothing.
    """
    rows = parse(content)
    if is_postgresql(session):
        # Two imports at once would both book the difference to what they found.
        session.execute(select(func.pg_advisory_xact_lock(IMPORT_KEY)))
    present = {
        (product.handle, product.option_values): product
        for product in session.execute(select(Product.__table__)).all()
    }
    new, changes = [], []
    for row in rows:
        product = present.get((row.handle, row.option_values))
        if product is None:
            new.append(row)
        elif change := _change(row, product):
            changes.append(change)
    slugs = {product.slug for product in present.values()}
    booked = [
        *_change_products(session, changes),
        *_create_products(session, new, slugs, now=now),
    ]
    about = {"note": "product file", "who": who, "created_at": now}
    if booked:
        session.execute(insert(StockMovement), [row | about for row in booked])
    return ImportReport(
        created=len(new),
        updated=len(changes),
        unchanged=len(rows) - len(new) - len(changes),
        stock_set=sum(change.difference != 0 for change in changes),
    )


def _difference(row: ProductRow, product: Row[Any]) -> int:
    """Return the units that *row* adds to what files told of *product* before."""
    if row.quantity is None:
        return 0
    if product.imported_quantity is not None:
        return row.told - int(product.imported_quantity)
    if row.stock_at_export is not None:
        return row.quantity - row.stock_at_export
    return row.quantity - int(product.stock)


def _change(row: ProductRow, product: Row[Any]) -> _Change | None:
    present = product._mapping
    told = before = present["imported_quantity"]
    difference = _difference(row, product)
    is_first = row.quantity is not None and before is None
    if difference or (is_first and row.stock_at_export is None):
        told = row.told
    is_same = all(getattr(row, column) == present[column] for column in DESCRIBED)
    return (
        None
        if is_same and told == before
        else _Change(product.id, row, difference, told)
    )


def _change_products(session: Session, changes: Iterable[_Change]) -> list[Movement]:
    """
    Change the products in ascending id, as everywhere; return the movements.

    A rule: stock never falls below what is reserved.
    """
    statement = (
        update(Product)
        .where(
            Product.id == bindparam("which"),
            Product.stock - Product.reserved >= bindparam("least"),
            Product.stock <= bindparam("most"),
        )
        .values(
            stock=Product.stock + bindparam("difference"),
            imported_quantity=bindparam("told"),
            **{column: bindparam(f"new_{column}") for column in DESCRIBED},
        )
        .returning(Product.id)
    )
    booked = []
    connection = session.connection()
    for change in sorted(changes, key=lambda change: change.id):
        if connection.scalar(statement, change.parameters()) is None:
            raise _refused(session, change)
        if change.difference:
            booked.append(_movement(change.id, change.difference, ADJUSTED))
    session.expire_all()
    return booked


def _refused(session: Session, change: _Change) -> CatalogueError:
    stock, reserved = session.execute(
        select(Product.stock, Product.reserved).where(Product.id == change.id)
    ).one()
    place = change.row.quantity_place
    problem = (
        f"the stock of {change.row.name!r} would be {stock + change.difference}, and "
        f"{reserved} are reserved"
    )
    return CatalogueError(problem, place.line, place.column)


def _create_products(
    session: Session, rows: Sequence[ProductRow], slugs: set[str], *, now: datetime
) -> list[Movement]:
    """Insert the products in the file's order; return the movements."""
    if not rows:
        return []
    counts: Counter[str] = Counter()
    values = [
        {
            **{column: getattr(row, column) for column in DESCRIBED},
            "slug": _new_slug(row, slugs, counts),
            "handle": row.handle,
            "option_values": row.option_values,
            "stock": row.quantity or 0,
            "imported_quantity": None if row.quantity is None else row.told,
            "created_at": now,
        }
        for row in rows
    ]
    inserted = insert(Product).returning(Product.id, sort_by_parameter_order=True)
    ids = session.scalars(inserted, values).all()
    return [
        _movement(product_id, row.quantity, RECEIVED)
        for product_id, row in zip(ids, rows, strict=True)
        if row.quantity
    ]


def _movement(product_id: int, quantity: int, reason: str) -> Movement:
    return {"product_id": product_id, "quantity": quantity, "reason": reason}


def _new_slug(row: ProductRow, taken: set[str], counts: Counter[str]) -> str:
    """Take a slug that no other product has; *counts* those made of the same words."""
    text = unicodedata.normalize("NFKD", f"{row.handle} {row.option_values}")
    plain = text.encode("ascii", "ignore").decode().lower()
    base = re.sub("[^a-z0-9]+", "-", plain).strip("-") or "product"
    slug = base[:LONGEST_SLUG]
    while slug in taken:
        counts[base] += 1
        suffix = f"-{counts[base] + 1}"
        slug = base[: LONGEST_SLUG - len(suffix)] + suffix
    taken.add(slug)
    return slug
