"""
The table in a product file: records whose cells know their place.

What is wrong is collected: the owner should learn of everything at once.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from core.catalogue.csv_rows import line_breaks, name_at, rows_of
from core.catalogue.faults import Fault
from core.errors import CatalogueError, Refusal

OPTIONS = (1, 2, 3)
# The first name of each is the one of Shopify's classic format, the others are newer.
COLUMN_NAMES = {
    "handle": ("Handle", "URL handle"),
    "title": ("Title",),
    "description": ("Body (HTML)", "Description"),
    "vendor": ("Vendor",),
    "kind": ("Type",),
    "tags": ("Tags",),
    "published": ("Published", "Published on online store"),
    "status": ("Status",),
    **{
        f"option{number}_{part.lower()}": (f"Option{number} {part}",)
        for number in OPTIONS
        for part in ("Name", "Value")
    },
    "sku": ("Variant SKU", "SKU"),
    "barcode": ("Variant Barcode", "Barcode"),
    "grams": ("Variant Grams", "Weight value (grams)"),
    "weight_unit": ("Variant Weight Unit", "Weight unit for display"),
    "tracker": ("Variant Inventory Tracker", "Inventory tracker"),
    "policy": ("Variant Inventory Policy", "Continue selling when out of stock"),
    "requires_shipping": ("Variant Requires Shipping", "Requires shipping"),
    "quantity": ("Variant Inventory Qty", "Inventory quantity"),
    "price": ("Variant Price", "Price"),
    "compare_at": ("Variant Compare At Price", "Compare-at price"),
    "image": ("Image Src", "Product image URL"),
    "image_alt": ("Image Alt Text",),
    "variant_image": ("Variant Image", "Variant image URL"),
    "taxable": ("Variant Taxable", "Charge tax"),
    # Ours: the rate that Shopify's files do not tell, as 21, 9 or 0.
    "vat": ("VAT Percent",),
    # Ours: what an export's quantities are to be compared with.
    "stock_at_export": ("Stock At Export",),
    "imported_quantity": ("Imported Quantity",),
}
REQUIRED = ("handle", "title", "price")
# What needs no mention in a column that the shop does not know: it is so anyway.
ASSUMED = {"variant fulfillment service": "manual", "gift card": "false"}
# NUL, and what "surrogateescape" makes of bytes that are not UTF-8.
FORBIDDEN = re.compile("[\0\udc80-\udcff]")
# These leave no mark although Unicode counts them as letters, marks or symbols.
UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" + "".join(
    map(chr, range(0xFE00, 0xFE10))
)


@dataclass(frozen=True)
class Place:
    """A physical line, the first is 1, and a column as the file spells it."""

    line: int
    column: str


@dataclass(frozen=True)
class Header:
    """
    The column names as the file spells them, and the positions of known ones.

    *refusals* collects what is wrong with the file, *unknown* the columns with content
    that the shop does not know.
    """

    cells: list[str]
    positions: Mapping[str, int]
    refusals: list[Refusal]
    unknown: dict[int, str] = field(default_factory=dict)

    @cached_property
    def strange(self) -> list[tuple[int, str]]:
        """The positions of unknown columns, and what in them needs no mention."""
        return [
            (position, ASSUMED.get(_folded(name), ""))
            for position, name in enumerate(self.cells)
            if not is_known(name)
        ]

    def spelling(self, name: str) -> str:
        position = self.positions.get(name)
        return COLUMN_NAMES[name][0] if position is None else self.cells[position]


@dataclass(frozen=True)
class Record:
    """One row of the file; the keys of COLUMN_NAMES name its cells."""

    line: int
    cells: list[str]
    header: Header
    is_whole: bool = True

    def text(self, name: str) -> str:
        """Return the cell of a known column without blanks around it."""
        position = self.header.positions.get(name)
        return "" if position is None else seen(self.cells[position])

    def place(self, name: str) -> Place:
        before = self.cells[: self.header.positions.get(name, 0)]
        return Place(self.line + line_breaks(*before), self.header.spelling(name))

    def refuse(self, column: str, fault: Fault, /, **values: object) -> None:
        """Note what is wrong with a cell; the caller goes on with any value."""
        place = self.place(column)
        self.header.refusals.append(
            Refusal(fault, place.line, place.column, self.line, values)
        )


def seen(text: str) -> str:
    """Return *text* without blanks around it; nothing if it has no visible sign."""
    text = text.strip().strip("\u200b\u200e\u200f\u2060\ufeff\u00ad").strip()
    if text.isascii() or any(map(_is_seen, text)):
        return text
    return ""


def _is_seen(character: str) -> bool:
    return character not in UNSEEN and unicodedata.category(character)[0] not in "CZ"


def table(content: bytes) -> tuple[Header, list[Record]]:
    """
    Return the header of a product file and its rows; refusals stand in the header.

    Raises CatalogueError, with the place, for what is not a table of products.
    """
    rows = rows_of(content, is_known)
    line, names = next(rows, (1, []))
    if not names:
        raise CatalogueError([Refusal(Fault.NO_PRODUCTS, 1)])
    header = _header(line, names)
    records: list[Record] = []
    try:
        records.extend(_record(line, cells, header) for line, cells in rows)
    except CatalogueError as error:
        # Behind an open quote nothing can be told from anything.
        header.refusals.extend(error.refusals)
    return header, records


def _record(line: int, cells: list[str], header: Header) -> Record:
    """Return a row; cells that are blank at its end may be missing."""
    most = len(header.cells)
    whole = Record(line, cells + [""] * (most - len(cells)), header)
    faults = _bad_characters(whole)
    if len(cells) > most:
        values = {"cells": len(cells), "columns": most}
        faults.append(Refusal(Fault.ROW_TOO_LONG, line, None, line, values))
    header.refusals.extend(faults)
    for position, assumed in header.strange:
        if seen(whole.cells[position]).casefold() not in ("", assumed):
            name = header.cells[position] or f"#{position + 1}"
            header.unknown.setdefault(position, name)
    return Record(line, whole.cells, header, is_whole=not faults)


def _folded(name: str) -> str:
    return " ".join(name.replace("\ufeff", "").split()).casefold()


KNOWN = {
    _folded(spelling): name
    for name, spellings in COLUMN_NAMES.items()
    for spelling in spellings
}


def is_known(column: str) -> bool:
    """Tell whether the shop knows a column of this name, however it is written."""
    return _folded(column) in KNOWN


def _header(line: int, names: list[str]) -> Header:
    """Raises CatalogueError, with all that is wrong with the header."""
    positions: dict[str, int] = {}
    header = Header([name.strip(" \t\ufeff") for name in names], positions, [])
    if faults := _bad_characters(Record(line, names, header)):
        raise CatalogueError(faults)
    for position, spelling in enumerate(header.cells):
        name = KNOWN.get(_folded(spelling))
        if name in positions:
            other = {"other": header.spelling(name)}
            faults.append(Refusal(Fault.COLUMN_TWICE, line, spelling, line, other))
        elif name is not None:
            positions[name] = position
    for name in REQUIRED:
        if name not in positions:
            missing = COLUMN_NAMES[name][0]
            faults.append(Refusal(Fault.COLUMN_MISSING, line, missing, line))
    if faults:
        raise CatalogueError(faults)
    return header


def _bad_characters(record: Record) -> list[Refusal]:
    if not FORBIDDEN.search("".join(record.cells)):
        return []
    names = record.header.cells if record.header.positions else []
    faults = []
    for position, cell in enumerate(record.cells):
        if found := FORBIDDEN.search(cell):
            fault = Fault.NUL if found[0] == "\0" else Fault.NOT_UTF_8
            before = [*record.cells[:position], cell[: found.start()]]
            line = record.line + line_breaks(*before)
            column = name_at(names, position)
            faults.append(Refusal(fault, line, column, record.line))
    return faults
