"""
What single cells of a product file say: prices, numbers, yes or no.

What can be read in two ways is refused with its place, never guessed. A function whose
cell is refused returns a harmless value: the file is not taken in anyway.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

from core.catalogue.faults import Fault
from core.catalogue.product_table import Record

LARGEST_NUMBER = 2**31 - 1  # what the database's integers hold
YES_OR_NO = {
    **dict.fromkeys(("true", "yes", "1", "waar"), True),
    **dict.fromkeys(("false", "no", "0", "onwaar"), False),
}
# 1234, 12.5, 12,50, 1.234,56 and 1,234.56; but 1.234 and 1,234 may mean two things.
PRICE = re.compile(
    r"([0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?=,)|[1-9][0-9]{0,2}(?:,[0-9]{3})+(?=\.))"
    r"(?:[.,]([0-9]{1,2}))?"
)
# 5.0 and 5,00 are 5; three digits behind a point may be thousands.
NUMBER = re.compile(r"(-?[0-9]+)(?:[.,]0{1,2})?")


def price_cents(record: Record, name: str) -> int | None:
    """Return the cents of a price, None for a blank cell."""
    text = record.text(name)
    if not text:
        return None
    match = PRICE.fullmatch(text)
    if match is None:
        record.refuse(name, Fault.NO_PRICE, text=text)
        return 0
    whole = re.sub("[.,]", "", match[1])
    cents = Decimal(f"{whole}.{match[2] or '0'}") * 100
    if cents > LARGEST_NUMBER:
        record.refuse(name, Fault.TOO_MUCH, text=text)
        return 0
    return int(cents)


def number(record: Record, name: str, *, can_be_negative: bool = False) -> int | None:
    """Return a whole number, None for a blank cell."""
    text = record.text(name)
    if not text:
        return None
    match = NUMBER.fullmatch(text)
    fault = Fault.NO_NUMBER
    if text.startswith("-") and not can_be_negative:
        fault = Fault.NEGATIVE
    elif match and abs(Decimal(match[1])) > LARGEST_NUMBER:
        fault = Fault.TOO_MUCH
    elif match:
        return int(Decimal(match[1]))
    record.refuse(name, fault, text=text)
    return None


def quantity(record: Record) -> int | None:
    """
    Return the units that a row tells, None if the file has no such column.

    Shopify counts on below nothing for a variant that nobody tracks: that is 0.
    """
    if "quantity" not in record.header.positions:
        return None
    is_untracked = "tracker" in record.header.positions and not record.text("tracker")
    told = number(record, "quantity", can_be_negative=is_untracked)
    return max(told or 0, 0)


def choice(record: Record, name: str, choices: Mapping[str, bool]) -> bool | None:
    """Return what a cell chooses, None for a blank one."""
    text = record.text(name)
    if text and text.casefold() not in choices:
        record.refuse(name, Fault.NO_CHOICE, text=text, choices=", ".join(choices))
    return choices.get(text.casefold())
