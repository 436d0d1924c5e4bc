"""
What the cart page showed travels with its form, and is held against what is so now.

It is plain: whoever changes it only makes the shop compare with something else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from core.catalogue.products import ProductView
from core.checkout.prices import Price
from core.errors import PriceChangedError
from core.payments.offer import ShippingOption
from storefront import language
from storefront.visit import LARGEST_ID, CartLine

_LINE = re.compile(r"([0-9]{1,19}):([0-9]{1,6}):([0-9]{1,12}):([a-z]{3})", re.ASCII)


@dataclass(frozen=True)
class Seen:
    """A line as it was shown: units, and what one of them costs."""

    quantity: int
    price: Price


@dataclass(frozen=True)
class Change:
    """What is not as it was shown, in the visitor's language; *name* may be ""."""

    name: str
    told: str


def field_of(line: CartLine) -> str:
    """Return a line as its form sends it."""
    product = line.product
    return f"{product.id}:{line.quantity}:{product.price_cents}:{product.currency}"


def shipping_field(options: Iterable[ShippingOption]) -> str:
    """Return the shipping options as their form sends them."""
    return ",".join(f"{option.name}={option.cents}" for option in options)


def lines_in(form: MultiDict[str, str]) -> dict[int, Seen]:
    """Read the lines that were shown, by product id; what no page sends is left out."""
    fields = filter(None, map(_LINE.fullmatch, form.getlist("shown")))
    read = {
        int(field[1]): Seen(int(field[2]), Price(int(field[3]), field[4]))
        for field in fields
    }
    return {key: seen for key, seen in read.items() if 0 < key <= LARGEST_ID}


def changes(
    seen: Mapping[int, Seen], lines: Iterable[CartLine], missing: Mapping[int, str]
) -> Iterator[Change]:
    """Tell line by line what differs; *missing* are the names of lines that are out."""
    for line in lines:
        was = seen.get(line.product.id)
        if was is None:
            told = _("Added to your cart meanwhile: %(number)s.", number=line.quantity)
            yield Change(line.product.name, told)
            continue
        if was.quantity != line.quantity:
            told = _(
                "You had %(before)s of these in your cart, and now %(now)s.",
                before=was.quantity,
                now=line.quantity,
            )
            yield Change(line.product.name, told)
        if was.price != Price(line.product.price_cents, line.product.currency):
            yield _price_change(line.product, was.price)
    for name in missing.values():
        yield Change(name, _("It is not in your cart any more."))


def price_changes(
    error: PriceChangedError, seen: Mapping[int, Seen], lines: Iterable[CartLine]
) -> Iterator[Change]:
    """Tell of the prices for which a cart was refused."""
    known = {line.product.id: line.product for line in lines}
    for change in error.changes:
        if change.product_id in known:
            yield _price_change(known[change.product_id], seen[change.product_id].price)


def _price_change(product: ProductView, was: Price) -> Change:
    told = _(
        "The price was %(before)s and is now %(now)s.",
        before=language.money(was.cents, was.currency),
        now=language.money(product.price_cents, product.currency),
    )
    return Change(product.name, told)
