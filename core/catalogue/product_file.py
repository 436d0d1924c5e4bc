"""
Product files in Shopify's product CSV format: from records to products.

What can be read in two ways is an error that names its place, never a guess.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from core.catalogue import cells, vat
from core.catalogue.csv_rows import line_breaks
from core.catalogue.descriptions import clean_description
from core.catalogue.faults import Fault
from core.catalogue.product_table import OPTIONS, Header, Place, Record, table
from core.catalogue.vat import Choice
from core.errors import CatalogueError, Refusal

Key = tuple[Any, ...]
LONGEST_TITLE = 255
# PostgreSQL refuses an index entry of more than 2704 bytes.
LONGEST_KEY_BYTES = 2000
VARIANT_DATA = (
    *(f"option{number}_value" for number in OPTIONS),
    *("price", "quantity", "sku", "variant_image"),
)
# What a row says by several columns or by one of another name, and which these are.
SAID_BY = {
    "compare_at_cents": ("compare_at",),
    "image": ("image", "variant_image"),
    "image_alt": ("image_alt", "image", "variant_image"),
    "is_listed": ("published", "status"),
    "option_names": ("option1_name", "option1_value"),
}
STATUSES = {"active": True, "draft": False, "archived": False, "unlisted": False}
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class ProductRow:
    """
    One thing that can be bought, as a product file describes it.

    *option_names* and *option_values* hold one name or value a line. *quantity* is None
    if the file has no such column. *told* is the quantity made comparable with earlier
    files: to that of an export, what was sold before the export is added again. *says*
    are the columns of the database of which the file has any: others stay as they are.
    """

    handle: str
    title: str
    name: str
    option_names: str
    option_values: str
    sku: str
    barcode: str
    grams: str
    weight_unit: str
    price_cents: int
    compare_at_cents: int | None
    tracker: str
    policy: str
    requires_shipping: bool
    quantity: int | None
    told: int
    stock_at_export: int | None
    image: str
    image_alt: str
    kind: str
    vendor: str
    tags: str
    description: str
    is_listed: bool
    vat: Choice
    says: frozenset[str] = field(compare=False)
    record: Record = field(compare=False, repr=False)

    @property
    def key_place(self) -> Place:
        """Where the file names the product."""
        return self.record.place("option1_value" if self.option_values else "handle")

    @property
    def price_place(self) -> Place:
        return self.record.place("price")

    @property
    def quantity_place(self) -> Place:
        return self.record.place("quantity")


@dataclass(frozen=True)
class ProductFile:
    """The products of a file, and its columns that the shop does not know."""

    rows: list[ProductRow]
    unknown_columns: tuple[str, ...]


@dataclass
class _Handle:
    """The first variant and the pictures of one handle; *says* is of the whole file."""

    says: frozenset[str]
    first: Record | None = None
    pictures: list[Record] = field(default_factory=list)


def parse(content: bytes) -> ProductFile:
    """
    Return the products of a file in its order; a row with only a picture is not one.

    Raises CatalogueError with all that is wrong with the file, by line and column.
    """
    header, records = table(content)
    products = _grouped(records, _said(header))
    if not products and not header.refusals:
        header.refusals.append(Refusal(Fault.NO_PRODUCTS, 1))
    seen: dict[Key, int] = {}
    rows = [
        _product(record, shared, seen) for record, shared in products if record.is_whole
    ]
    if header.refusals:
        raise CatalogueError(header.refusals)
    return ProductFile(rows, tuple(header.unknown.values()))


def _grouped(
    records: list[Record], says: frozenset[str]
) -> list[tuple[Record, _Handle]]:
    """Return the rows that are products, with what is known of their handle."""
    handles: dict[str, _Handle] = {}
    products = []
    for record in records:
        handle = record.text("handle")
        if record.is_whole and not handle:
            record.refuse("handle", Fault.BLANK)
        shared = handles.setdefault(handle or f"\n{record.line}", _Handle(says))
        if record.text("image"):
            shared.pictures.append(record)
        if not _is_picture(record, shared):
            shared.first = shared.first or record
            products.append((record, shared))
    for shared in handles.values():
        if shared.first is None:
            shared.pictures[0].refuse("title", Fault.PICTURE_OF_NOTHING)
    return products


def _is_picture(record: Record, shared: _Handle) -> bool:
    """Tell whether a row only adds a picture to a product of other rows."""
    return (
        bool(record.text("image"))
        and not any(map(record.text, VARIANT_DATA))
        and (shared.first is not None or not record.text("title"))
    )


def _product(record: Record, shared: _Handle, seen: dict[Key, int]) -> ProductRow:
    first = shared.first or record
    title = _title(record, first)
    names, values = _options(record, first)
    handle = record.text("handle")
    _check_key(record, handle, (names, values), seen)
    image, image_alt = _image(record, shared)
    quantity = cells.quantity(record)
    if not record.text("price"):
        record.refuse("price", Fault.BLANK)
    return ProductRow(
        handle=handle,
        title=title,
        name=f"{title} \N{EN DASH} {' / '.join(values)}" if values else title,
        option_names="\n".join(names),
        option_values="\n".join(values),
        sku=record.text("sku"),
        barcode=record.text("barcode"),
        grams=record.text("grams"),
        weight_unit=record.text("weight_unit"),
        price_cents=cells.price_cents(record, "price") or 0,
        compare_at_cents=cells.price_cents(record, "compare_at"),
        tracker=_kept(record, "tracker", "shopify"),
        policy=_kept(record, "policy", "deny"),
        requires_shipping=cells.choice(record, "requires_shipping", cells.YES_OR_NO)
        is not False,
        quantity=quantity,
        told=_told(record, quantity or 0),
        stock_at_export=cells.number(record, "stock_at_export"),
        image=image,
        image_alt=image_alt,
        kind=_inherited("kind", record, first),
        vendor=_inherited("vendor", record, first),
        tags=_inherited("tags", record, first),
        description=clean_description(_inherited("description", record, first)),
        is_listed=_is_listed(record, first),
        vat=vat.chosen(record, first),
        says=shared.says,
        record=record,
    )


def _kept(record: Record, name: str, default: str) -> str:
    """Return a cell as it is; *default* if the file has no such column."""
    return record.text(name) if name in record.header.positions else default


def _inherited(name: str, record: Record, first: Record) -> str:
    return record.text(name) or first.text(name)


def _title(record: Record, first: Record) -> str:
    title = _inherited("title", record, first)
    if not title and first.is_whole:
        first.refuse("title", Fault.BLANK)
    if len(title) > LONGEST_TITLE:
        named = record if record.text("title") else first
        named.refuse("title", Fault.TOO_LONG, most=LONGEST_TITLE)
    return title


def _options(record: Record, first: Record) -> tuple[list[str], list[str]]:
    """Return the names and the values of the options, none for a plain product."""
    named = record if record.text("option1_name") else first
    names = [named.text(f"option{number}_name") for number in OPTIONS]
    values = [record.text(f"option{number}_value") for number in OPTIONS]
    is_default = values[0] in ("", "Default Title") and names[0] in ("", "Title")
    if is_default and not any(names[1:] + values[1:]):
        return [], []
    for number, name, value in zip(OPTIONS, names, values, strict=True):
        if value and not name:
            record.refuse(f"option{number}_name", Fault.OPTION_WITHOUT_NAME)
        if name and not value:
            column = f"option{number}_value"
            record.refuse(column, Fault.OPTION_WITHOUT_VALUE, name=name)
        if line_breaks(name + value):
            record.refuse(f"option{number}_value", Fault.SEVERAL_LINES)
    pairs = [pair for pair in zip(names, values, strict=True) if all(pair)]
    return [name for name, _ in pairs], [value for _, value in pairs]


def _check_key(
    record: Record,
    handle: str,
    options: tuple[list[str], list[str]],
    seen: dict[Key, int],
) -> None:
    names, values = options
    column = "option1_value" if values else "handle"
    # The columns may stand in another order: it is the same product all the same.
    keys = (handle, *values), (handle, *sorted(zip(names, values, strict=True)))
    for line in {seen[key] for key in keys if handle and key in seen}:
        record.refuse(column, Fault.SAME_PRODUCT, line=line)
    if len("\n".join([handle, *values]).encode()) > LONGEST_KEY_BYTES:
        record.refuse(column, Fault.TOO_LONG, most=LONGEST_KEY_BYTES)
    for key in keys:
        seen.setdefault(key, record.line)


def _said(header: Header) -> frozenset[str]:
    """Return the database's columns that the file says something about."""
    has = header.positions.keys()
    several = {name for name, columns in SAID_BY.items() if not has.isdisjoint(columns)}
    return frozenset(has | several)


def _image(record: Record, shared: _Handle) -> tuple[str, str]:
    """Return the variant's own picture, else the first of its handle, with its text."""
    own, image = record.text("image"), record.text("variant_image")
    if not image and shared.pictures:
        image = shared.pictures[0].text("image")
    scheme = SCHEME.match(image)
    if scheme and scheme[0].lower() not in ("http:", "https:"):
        column = "variant_image" if record.text("variant_image") else "image"
        record.refuse(column, Fault.NO_WEB_ADDRESS, text=image)
    if own == image or (not own and record.text("image_alt")):
        return image, record.text("image_alt")
    same = (row for row in shared.pictures if row.text("image") == image)
    return image, next((row.text("image_alt") for row in same), "")


def _told(record: Record, quantity: int) -> int:
    stock_at_export = cells.number(record, "stock_at_export")
    imported = cells.number(record, "imported_quantity", can_be_negative=True)
    if stock_at_export is None or imported is None:
        return quantity
    told = imported + quantity - stock_at_export
    if abs(told) > cells.LARGEST_NUMBER:
        record.refuse("imported_quantity", Fault.TOO_MUCH, text=str(imported))
    return told


def _is_listed(record: Record, first: Record) -> bool:
    """Tell whether the cells say that the product is on sale, as blank ones do."""
    said = [
        cells.choice(record if record.text(name) else first, name, choices)
        for name, choices in (("published", cells.YES_OR_NO), ("status", STATUSES))
    ]
    return False not in said
