"""Who is visiting, and what is in the visitor's cart: the signed session cookie."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from flask import flash, g, request, session
from flask_babel import force_locale
from flask_babel import gettext as _

from core.catalogue.products import ProductView
from core.checkout.payment_page import Visitor
from core.clock import new_token
from core.stock import holds
from core.stock.reservations import MOST_LINES
from storefront import language
from storefront.extensions import db

LARGEST_QUANTITY = 9999
# What fits into the database's column; no id is larger.
LARGEST_ID = 2**63 - 1


# Pages that say themselves that it was paid.
TELLS_OF_PAYMENT = (
    *("pages.returned", "pages.cancelled", "pages.order"),
    *("pages.start_checkout", "pages.continue_checkout"),
)


@dataclass(frozen=True)
class CartLine:
    """A line of the cart now; *held* units are under the visitor's own checkout."""

    product: ProductView
    quantity: int
    held: int

    @property
    def total_cents(self) -> int:
        return self.quantity * self.product.price_cents

    @property
    def obtainable(self) -> int:
        return self.product.available + self.held

    @property
    def shortage(self) -> bool:
        return self.quantity > self.obtainable


def visitor() -> Visitor:
    """Return who is visiting; a new visitor gets an id."""
    if "visitor" not in session:
        session.permanent = True
        session["visitor"] = new_token()
    return Visitor(session["visitor"], request.remote_addr or "", language.choose())


def visitor_id() -> str:
    return str(session.get("visitor", ""))


def cart() -> dict[int, int]:
    """Return the cart, product id to units, without what has been paid for."""
    _take_out_paid()
    return as_remembered()


def as_remembered() -> dict[int, int]:
    """Return the cart as the cookie has it, which may hold what was paid since."""
    return {int(key): units for key, units in session.get("cart", {}).items()}


def put(product_id: int, quantity: int) -> bool:
    """
    Set the quantity of a product in the cart; 0 takes it out.

    Returns False and changes nothing if the cart has no room for another product. No
    line gets more than LARGEST_QUANTITY.
    """
    lines = cart()
    lines[product_id] = min(quantity, LARGEST_QUANTITY)
    if quantity < 1:
        del lines[product_id]
    elif len(lines) > MOST_LINES:
        return False
    session.permanent = True
    session["cart"] = {str(key): units for key, units in lines.items()}
    return True


def remember_checkout(checkout_id: int) -> None:
    """Remember that this cart is being paid for."""
    session["checkout"] = checkout_id


def _take_out_paid() -> None:
    """
    Take what was bought out of the cart, once.

    The customer may have closed the payment page, so that only the webhook knows; and
    money may come late, so an ended checkout is remembered until the next one.
    """
    checkout_id = session.get("checkout")
    bought = checkout_id and holds.bought_units(db.session(), checkout_id)
    if not bought:
        return
    lines = session.get("cart", {})
    for product_id, quantity in bought.items():
        left = lines.pop(str(product_id), 0) - quantity
        if left > 0:
            lines[str(product_id)] = left
    session["cart"] = lines
    session.pop("checkout")
    g.just_bought = checkout_id
    if request.endpoint not in TELLS_OF_PAYMENT:
        flash(_("What you ordered has been taken out of your cart."), "success")


def just_bought() -> int | None:
    """Return the checkout that this very request found to be paid, if it did."""
    found: int | None = g.get("just_bought")
    return found


def payment_notice(deadline: datetime) -> str:
    """Return the sentence above the button of Stripe's page."""
    return _notice(language.choose(), deadline.replace(second=0, microsecond=0))


@lru_cache(maxsize=64)
def _notice(locale: str, minute: datetime) -> str:
    with force_locale(locale):
        told = _(
            "We hold your products until %(time)s. After that nothing is charged.",
            time=language.clock(minute),
        )
    return str(told)
