"""
The table in a product file: from bytes to records whose cells know their place.

An encoding and a separator are understood or refused, never guessed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.errors import CatalogueError

LARGEST_FILE = 20 * 1024 * 1024
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
    "quantity": ("Variant Inventory Qty", "Inventory quantity"),
    "price": ("Variant Price", "Price"),
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
LINE_BREAK = re.compile(r"\r\n?|\n")
QUOTED_CELL = re.compile(r'"([^"]*(?:""[^"]*)*)"')
# NUL, and what "surrogateescape" makes of bytes that are not UTF-8.
FORBIDDEN = re.compile("[\0\udc80-\udcff]")


@dataclass(frozen=True)
class Place:
    """A physical line, the first is 1, and a column as the file spells it."""

    line: int
    column: str


@dataclass(frozen=True)
class Header:
    """The column names as the file spells them, and the positions of known ones."""

    cells: list[str]
    positions: Mapping[str, int]

    def spelling(self, name: str) -> str:
        position = self.positions.get(name)
        return COLUMN_NAMES[name][0] if position is None else self.cells[position]


@dataclass(frozen=True)
class Record:
    """One row of the file; the keys of COLUMN_NAMES name its cells."""

    line: int
    cells: list[str]
    header: Header

    def text(self, name: str) -> str:
        position = self.header.positions.get(name)
        return "" if position is None else self.cells[position].strip()

    def place(self, name: str) -> Place:
        before = self.cells[: self.header.positions.get(name, 0)]
        return Place(self.line + line_breaks(*before), self.header.spelling(name))

    def refuse(self, name: str, problem: str) -> CatalogueError:
        place = self.place(name)
        if place.line != self.line:
            problem += f" (in the row that begins on line {self.line})"
        return CatalogueError(problem, place.line, place.column)


def line_breaks(*texts: str) -> int:
    """Count the line breaks in *texts*; CR LF is one."""
    return sum(len(LINE_BREAK.findall(text)) for text in texts)


def _decoded(content: bytes) -> str:
    if len(content) > LARGEST_FILE:
        raise CatalogueError(f"the file is larger than {LARGEST_FILE >> 20} MB")
    if content.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise CatalogueError("the file is UTF-32; save it as UTF-8", line=1)
    if not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-16", "ignore")
        problem = "the file is damaged UTF-16; save it as UTF-8"
        raise CatalogueError(problem, 1 + line_breaks(before)) from error


def records(content: bytes) -> Iterator[Record]:
    """
    Yield the rows of a product file after its header.

    Raises CatalogueError, with the place, for what is not a table of products.
    """
    text = _decoded(content)
    separator = max(",;\t", key=lambda candidate: _fit(text, candidate))
    rows = _rows(text, separator)
    line, names = next(rows, (1, []))
    if not names:
        raise CatalogueError("there are no products in the file", line=1)
    header = _header(line, names)
    for line, cells in rows:
        record = Record(line, cells, header)
        _check_characters(record)
        if len(cells) != len(names):
            problem = f"the row has {len(cells)} cells, the header has {len(names)}"
            raise CatalogueError(problem, line, _name_at(names, len(cells)))
        yield record


def _fit(text: str, separator: str) -> int:
    """Count the known columns in the header when it is split by *separator*."""
    try:
        _, names = next(_rows(text, separator), (1, []))
    except CatalogueError:
        return -1
    return sum(_folded(name) in KNOWN_COLUMNS for name in names)


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line on which it begins."""
    position, line = 0, 1
    names: list[str] = []
    while position < len(text):
        line_break = LINE_BREAK.search(text, position)
        end = line_break.start() if line_break else len(text)
        if '"' in text[position:end]:
            cells, end = _quoted_row(text, position, line, separator, names)
            line_break = LINE_BREAK.match(text, end)
        else:
            cells = text[position:end].split(separator)
        if any(map(str.strip, cells)):
            yield line, cells
            names = names or cells
        end = line_break.end() if line_break else end
        line += line_breaks(text[position:end])
        position = end


def _quoted_row(
    text: str, position: int, line: int, separator: str, names: list[str]
) -> tuple[list[str], int]:
    """Return the cells of the row at *position* and where it ends."""
    plain_cell = re.compile(f'[^"\r\n{separator}]*')
    cells: list[str] = []
    while True:
        is_quoted = text.startswith('"', position)
        match = (QUOTED_CELL if is_quoted else plain_cell).match(text, position)
        following = text[match.end() : match.end() + 1] if match else None
        if match is None or following not in ("", "\r", "\n", separator):
            problem = "there is text after a closing quote, or a quote in plain text"
            if match is None:
                problem = "a quoted cell has no closing quote"
            line += line_breaks(*cells)
            raise CatalogueError(problem, line, _name_at(names, len(cells)))
        cells.append(match[1].replace('""', '"') if is_quoted else match[0])
        if following != separator:
            return cells, match.end()
        position = match.end() + 1


def _name_at(names: list[str], position: int) -> str | None:
    return names[position].strip() if position < len(names) else None


def _folded(name: str) -> str:
    return " ".join(name.replace("\ufeff", "").split()).casefold()


KNOWN_COLUMNS = {
    _folded(spelling): name
    for name, spellings in COLUMN_NAMES.items()
    for spelling in spellings
}


def _header(line: int, names: list[str]) -> Header:
    positions: dict[str, int] = {}
    header = Header([name.strip(" \t\ufeff") for name in names], positions)
    _check_characters(Record(line, names, header))
    for position, spelling in enumerate(header.cells):
        name = KNOWN_COLUMNS.get(_folded(spelling))
        if name in positions:
            problem = f"says the same as column {header.spelling(name)!r}"
            raise CatalogueError(problem, line, spelling)
        if name is not None:
            positions[name] = position
    for name in REQUIRED:
        if name not in positions:
            raise CatalogueError("the column is missing", line, header.spelling(name))
    return header


def _check_characters(record: Record) -> None:
    if not FORBIDDEN.search("".join(record.cells)):
        return
    names = record.header.cells if record.header.positions else []
    for position, cell in enumerate(record.cells):
        if found := FORBIDDEN.search(cell):
            is_nul = found[0] == "\0"
            problem = "a NUL character" if is_nul else "not UTF-8; save it as UTF-8"
            before = [*record.cells[:position], cell[: found.start()]]
            line = record.line + line_breaks(*before)
            raise CatalogueError(problem, line, _name_at(names, position))
