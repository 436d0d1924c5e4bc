"""
Products in, by product files: whole files or nothing, but for rows that wait.

A file tells how many units there should be, not how many were sold since. So the
difference to what files told before is booked: the same file again changes nothing, and
a file from before a sale does not bring the sold units back.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from core.catalogue import vat
from core.catalogue.cells import LARGEST_NUMBER
from core.catalogue.faults import Fault
from core.catalogue.matching import Matches, match
from core.catalogue.product_file import ProductRow, parse
from core.catalogue.report import ImportReport, report
from core.config import Vat
from core.database.engine import is_postgresql
from core.database.locks import IMPORT_KEY
from core.errors import CatalogueError, Refusal
from core.models.catalogue import Product
from core.models.stock import ADJUSTED, RECEIVED, StockMovement

LONGEST_SLUG = 200
Movement = dict[str, Any]
# Under these a product is known, with its SKU; no two have the same.
NAMED = ("handle", "option_values")
# What a file always says of a product, or has in a column of its own; stock is booked,
# not set.
ALWAYS = (*NAMED, "title", "name", "price_cents")
IN_COLUMNS = (
    *("option_names", "sku", "description", "kind", "vendor", "tags"),
    *("image", "image_alt", "is_listed", "barcode", "grams", "weight_unit"),
    *("compare_at_cents", "tracker", "policy", "requires_shipping"),
)
VAT = ("vat_bp", "chosen_vat_bp")
DESCRIBED = (*ALWAYS, *IN_COLUMNS, *VAT)


@dataclass(frozen=True)
class _Change:
    """What *row* changes of the product *id*; *difference* is units in or out."""

    id: int
    row: ProductRow
    described: Mapping[str, Any]
    is_renamed: bool
    difference: int
    told: int | None

    def parameters(self) -> dict[str, Any]:
        described = {f"new_{name}": text for name, text in self.described.items()}
        if self.is_renamed:
            # The name may be another product's until that one has its own new name.
            described["new_option_values"] = f"\n{self.id}"
        return {
            "which": self.id,
            "difference": self.difference,
            "least": -self.difference,
            "most": LARGEST_NUMBER - max(self.difference, 0),
            "told": self.told,
            **described,
        }


def import_products(
    session: Session,
    content: bytes,
    *,
    now: datetime,
    who: str = "",
    are_different: bool = False,
) -> ImportReport:
    """
    Bring the catalogue up to the product file *content*; if it is refused, not at all.

    Products that the file does not name stay as they are. Where it names new ones under
    a handle of which it leaves out others, both may be the same goods: the new ones are
    not taken in unless *are_different*. Safe to repeat: the same file again changes
    nothing. Raises CatalogueError, with all that is wrong and where, for a file that
    cannot be understood and for quantities that would leave less stock than reserved.
    """
    file = parse(content)
    if is_postgresql(session):
        # Two imports at once would both book the difference to what they found.
        session.execute(select(func.pg_advisory_xact_lock(IMPORT_KEY)))
    products = session.execute(select(Product.__table__).order_by(Product.id)).all()
    matches = match(file.rows, list(products), are_different=are_different)
    _check_names(matches, products)
    rates = vat.of_shop(session)
    changes = [
        change
        for row, product in matches.known
        if (change := _change(row, product, rates))
    ]
    slugs = {product.slug for product in products}
    booked = [
        *_change_products(session, changes),
        *_create_products(session, matches.new, slugs, rates, now=now),
    ]
    about = {"note": "product file", "who": who, "created_at": now}
    if booked:
        session.execute(insert(StockMovement), [row | about for row in booked])
    stock_set = sum(change.difference != 0 for change in changes)
    return report(file, matches, updated=len(changes), stock_set=stock_set)


def _check_names(matches: Matches, products: Sequence[Row[Any]]) -> None:
    """Refuse a name that a product has which the file does not name, or names twice."""
    known = {product.id for _, product in matches.known}
    taken = {
        (product.handle, product.option_values)
        for product in products
        if product.id not in known
    }
    refusals = []
    for row in (*(row for row, _ in matches.known), *matches.new):
        name, place = (row.handle, row.option_values), row.key_place
        if name in taken:
            values = {"name": row.name}
            fault = Fault.NAME_TAKEN
            refusals.append(Refusal(fault, place.line, place.column, values=values))
        taken.add(name)
    if refusals:
        raise CatalogueError(refusals)


def _difference(row: ProductRow, product: Row[Any]) -> int:
    """Return the units that *row* adds to what files told of *product* before."""
    if row.quantity is None:
        return 0
    if product.imported_quantity is not None:
        return row.told - int(product.imported_quantity)
    if row.stock_at_export is not None:
        return row.quantity - row.stock_at_export
    return row.quantity - int(product.stock)


def _described(
    row: ProductRow, rates: Vat, present: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a product as *row* describes it; what it does not say is as *present*."""
    said = {
        column: getattr(row, column)
        for column in (*ALWAYS, *IN_COLUMNS)
        if present is None or column in ALWAYS or column in row.says
    }
    chosen = row.vat.instead_of(present["chosen_vat_bp"] if present else None)
    said |= {"vat_bp": rates.rate(chosen), "chosen_vat_bp": chosen}
    known = {**(present or {}), **said}
    return {column: known[column] for column in DESCRIBED}


def _change(row: ProductRow, product: Row[Any], rates: Vat) -> _Change | None:
    present = dict(product._mapping)
    told = before = present["imported_quantity"]
    difference = _difference(row, product)
    is_first = row.quantity is not None and before is None
    if difference or (is_first and row.stock_at_export is None):
        told = row.told
    described = _described(row, rates, present)
    differs = {column for column in DESCRIBED if described[column] != present[column]}
    if not differs and told == before:
        return None
    is_renamed = not differs.isdisjoint(NAMED)
    return _Change(product.id, row, described, is_renamed, difference, told)


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
    booked, refusals = [], []
    connection = session.connection()
    ordered = sorted(changes, key=lambda change: change.id)
    for change in ordered:
        if connection.scalar(statement, change.parameters()) is None:
            refusals.append(_refusal(session, change))
        elif change.difference:
            booked.append(_movement(change.id, change.difference, ADJUSTED))
    if refusals:
        raise CatalogueError(refusals)
    for change in filter(lambda change: change.is_renamed, ordered):
        values = change.described["option_values"]
        renamed = update(Product).where(Product.id == change.id)
        connection.execute(renamed.values(option_values=values))
    session.expire_all()
    return booked


def _refusal(session: Session, change: _Change) -> Refusal:
    stock, reserved = session.execute(
        select(Product.stock, Product.reserved).where(Product.id == change.id)
    ).one()
    name, place = change.row.name, change.row.quantity_place
    values = {"name": name, "stock": stock + change.difference, "reserved": reserved}
    return Refusal(Fault.STOCK_IMPOSSIBLE, place.line, place.column, values=values)


def _create_products(
    session: Session,
    rows: Sequence[ProductRow],
    slugs: set[str],
    rates: Vat,
    *,
    now: datetime,
) -> list[Movement]:
    """Insert the products in the file's order; return the movements."""
    if not rows:
        return []
    counts: Counter[str] = Counter()
    values = [
        {
            **_described(row, rates),
            "slug": _new_slug(row, slugs, counts),
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
