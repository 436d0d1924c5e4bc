"""What an import tells the owner: counts, and what deserves a second look."""

from dataclasses import dataclass

from core.catalogue.matching import Matches
from core.catalogue.product_file import ProductFile
from core.payments.offer import LARGEST_CHARGE_CENTS, SMALLEST_CHARGE_CENTS


@dataclass(frozen=True)
class LeftOut:
    """A product that the file does not name, but others of its handle or SKU."""

    name: str
    sku: str
    stock: int
    is_listed: bool


@dataclass(frozen=True)
class Waiting:
    """A row that was not taken in: it may mean goods that the file leaves out."""

    line: int
    name: str
    sku: str
    quantity: int


@dataclass(frozen=True)
class Renamed:
    """A product that the file has under another handle or other options."""

    before: str
    after: str
    handle_before: str
    handle_after: str


@dataclass(frozen=True)
class OddPrice:
    """A product of which one alone cannot be paid: Stripe takes more, or less."""

    line: int
    name: str
    price_cents: int


@dataclass(frozen=True)
class ImportReport:
    """
    Counts of products; *stock_set* are those whose stock changed.

    *unknown_columns* have content that the shop does not keep. *pictures* are all that
    the products of the file have: whether they are there, the front end knows.
    """

    created: int
    updated: int
    unchanged: int
    stock_set: int
    renamed: tuple[Renamed, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    odd_prices: tuple[OddPrice, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


def report(
    file: ProductFile, matches: Matches, *, updated: int, stock_set: int
) -> ImportReport:
    """Say what became of the rows of *file*."""
    waiting = set(matches.waiting)
    taken_in = [row for row in file.rows if row not in waiting]
    return ImportReport(
        created=len(matches.new),
        updated=updated,
        unchanged=len(matches.known) - updated,
        stock_set=stock_set,
        renamed=tuple(
            Renamed(product.name, row.name, product.handle, row.handle)
            for row, product in matches.known
            if (row.handle, row.option_values)
            != (product.handle, product.option_values)
        ),
        left_out=tuple(
            LeftOut(product.name, product.sku, product.stock, product.is_listed)
            for product in matches.left_out
        ),
        waiting=tuple(
            Waiting(row.key_place.line, row.name, row.sku, row.quantity or 0)
            for row in matches.waiting
        ),
        odd_prices=tuple(
            OddPrice(row.price_place.line, row.name, row.price_cents)
            for row in taken_in
            if not _can_be_paid(row.price_cents)
        ),
        unknown_columns=file.unknown_columns,
        pictures=tuple(dict.fromkeys(row.image for row in taken_in if row.image)),
    )


def _can_be_paid(cents: int) -> bool:
    return cents == 0 or SMALLEST_CHARGE_CENTS <= cents <= LARGEST_CHARGE_CENTS
