"""
Product files in Shopify's product CSV format: from records to products.

What can be read in two ways is an error that names its place, never a guess.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import nh3

from core.catalogue import vat
from core.catalogue.product_table import OPTIONS, Place, Record, line_breaks, records
from core.catalogue.vat import Choice
from core.errors import CatalogueError

Key = tuple[Any, ...]
LARGEST_NUMBER = 2**31 - 1  # what the database's integers hold
LONGEST_TITLE = 255
# PostgreSQL refuses an index entry of more than 2704 bytes.
LONGEST_KEY_BYTES = 2000
VARIANT_DATA = (
    *(f"option{number}_value" for number in OPTIONS),
    *("price", "quantity", "sku", "variant_image"),
)
# What a row says by several columns or by one of another name, and which these are.
SAID_BY = {
    "image": ("image", "variant_image"),
    "image_alt": ("image_alt", "image", "variant_image"),
    "is_listed": ("published", "status"),
    "option_names": ("option1_name", "option1_value"),
}
# Whether a product is on sale, by column and by what the column says.
ON_SALE = {
    "published": {
        **dict.fromkeys(("true", "yes", "1", "waar"), True),
        **dict.fromkeys(("false", "no", "0", "onwaar"), False),
    },
    "status": {"active": True, "draft": False, "archived": False, "unlisted": False},
}
# 1234, 12.5, 12,50, 1.234,56 and 1,234.56; but 1.234 and 1,234 may mean two things.
PRICE = re.compile(
    r"([0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?=,)|[1-9][0-9]{0,2}(?:,[0-9]{3})+(?=\.))"
    r"(?:[.,]([0-9]{1,2}))?"
)
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
HTML_TAGS = {
    *("p", "br", "div", "ul", "ol", "li", "strong", "em", "b", "i", "h3", "h4", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


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
    price_cents: int
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
    says: frozenset[str]
    key_place: Place
    quantity_place: Place


@dataclass
class _Handle:
    """The first variant and the pictures of one handle."""

    first: Record | None = None
    pictures: list[Record] = field(default_factory=list)


def parse(content: bytes) -> list[ProductRow]:
    """
    Return the products of a file in its order; a row with only a picture is not one.

    Raises CatalogueError, which names the line and the column, for the whole file.
    """
    handles: dict[str, _Handle] = {}
    products: list[tuple[Record, _Handle]] = []
    for record in records(content):
        if not record.text("handle"):
            raise record.refuse("handle", "is blank")
        shared = handles.setdefault(record.text("handle"), _Handle())
        if record.text("image"):
            shared.pictures.append(record)
        if not _is_picture(record, shared):
            shared.first = shared.first or record
            products.append((record, shared))
    for shared in handles.values():
        if shared.first is None:
            raise shared.pictures[0].refuse("title", "the picture has no product")
    if not products:
        raise CatalogueError("there are no products in the file", 1)
    seen: dict[Key, int] = {}
    return [_product(record, shared, seen) for record, shared in products]


def clean_description(html: str) -> str:
    """Return *html* with only harmless tags left; safe to repeat."""
    # Badly nested tags take several rounds; a second import must find nothing to do.
    for _ in range(5):
        dirty = html
        html = nh3.clean(
            dirty,
            tags=HTML_TAGS,
            attributes={"a": {"href"}},
            url_schemes={"http", "https"},
            url_relative="deny",
            link_rel="noopener noreferrer",
        ).strip()
        if html == dirty:
            break
    return html


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
    quantity = None
    if "quantity" in record.header.positions:
        quantity = _number(record, "quantity") or 0
    return ProductRow(
        handle=handle,
        title=title,
        name=f"{title} \N{EN DASH} {' / '.join(values)}" if values else title,
        option_names="\n".join(names),
        option_values="\n".join(values),
        sku=record.text("sku"),
        price_cents=_price_cents(record),
        quantity=quantity,
        told=_told(record, quantity or 0),
        stock_at_export=_number(record, "stock_at_export"),
        image=image,
        image_alt=image_alt,
        kind=_inherited("kind", record, first),
        vendor=_inherited("vendor", record, first),
        tags=_inherited("tags", record, first),
        description=clean_description(_inherited("description", record, first)),
        # Both are checked, whatever the first one says.
        is_listed=_means_yes("published", record, first)
        & _means_yes("status", record, first),
        vat=vat.chosen(record, first),
        says=_said(record),
        key_place=record.place("option1_value" if values else "handle"),
        quantity_place=record.place("quantity"),
    )


def _inherited(name: str, record: Record, first: Record) -> str:
    return record.text(name) or first.text(name)


def _title(record: Record, first: Record) -> str:
    title = _inherited("title", record, first)
    if not title:
        raise first.refuse("title", "is blank")
    if len(title) > LONGEST_TITLE:
        raise record.refuse("title", f"is longer than {LONGEST_TITLE} characters")
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
            raise record.refuse(f"option{number}_name", "is blank, but has a value")
        if name and not value:
            problem = f"is blank, but {name!r} is not"
            raise record.refuse(f"option{number}_value", problem)
        if line_breaks(name + value):
            raise record.refuse(f"option{number}_value", "has more than one line")
    return list(filter(None, names)), list(filter(None, values))


def _check_key(
    record: Record,
    handle: str,
    options: tuple[list[str], list[str]],
    seen: dict[Key, int],
) -> None:
    names, values = options
    column = "option1_value" if values else "handle"
    # The columns may stand in another order: it is the same product all the same.
    for key in ((handle, *values), (handle, *sorted(zip(names, values, strict=True)))):
        if key in seen:
            raise record.refuse(column, f"is the same product as on line {seen[key]}")
    if len("\n".join([handle, *values]).encode()) > LONGEST_KEY_BYTES:
        raise record.refuse(column, "is too long")
    for key in ((handle, *values), (handle, *sorted(zip(names, values, strict=True)))):
        seen[key] = record.line


def _said(record: Record) -> frozenset[str]:
    """Return the database's columns that the file says something about."""
    has = record.header.positions.keys()
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
        raise record.refuse(column, f"{image!r} is not an http or https address")
    if own == image or (not own and record.text("image_alt")):
        return image, record.text("image_alt")
    same = (row for row in shared.pictures if row.text("image") == image)
    return image, next((row.text("image_alt") for row in same), "")


def _price_cents(record: Record) -> int:
    text = record.text("price")
    if not text:
        raise record.refuse("price", "is blank")
    match = PRICE.fullmatch(text)
    if match is None:
        raise record.refuse("price", f"{text!r} is not a price like 12.50")
    whole = re.sub("[.,]", "", match[1])
    cents = Decimal(f"{whole}.{match[2] or '0'}") * 100
    if cents > LARGEST_NUMBER:
        raise record.refuse("price", f"{text!r} is too much")
    return int(cents)


def _told(record: Record, quantity: int) -> int:
    stock_at_export = _number(record, "stock_at_export")
    imported = _number(record, "imported_quantity", can_be_negative=True)
    if stock_at_export is None or imported is None:
        return quantity
    told = imported + quantity - stock_at_export
    if abs(told) > LARGEST_NUMBER:
        raise record.refuse("imported_quantity", f"'{imported}' is too much")
    return told


def _number(record: Record, name: str, *, can_be_negative: bool = False) -> int | None:
    text = record.text(name)
    if not text:
        return None
    if text.startswith("-") and not can_be_negative:
        raise record.refuse(name, f"{text!r} is less than nothing")
    if not re.fullmatch("-?[0-9]+", text):
        raise record.refuse(name, f"{text!r} is not a whole number")
    if abs(Decimal(text)) > LARGEST_NUMBER:
        raise record.refuse(name, f"{text!r} is too much")
    return int(Decimal(text))


def _means_yes(name: str, record: Record, first: Record) -> bool:
    """Tell whether a cell says that the product is on sale, as a blank one does."""
    text, choices = _inherited(name, record, first), ON_SALE[name]
    if text and text.casefold() not in choices:
        raise record.refuse(name, f"{text!r} is not one of {', '.join(choices)}")
    return choices.get(text.casefold(), True)
