"""The cart: what is in it, what changed in it, and its forms."""

from collections.abc import Collection, Sequence

import flask
from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from core.catalogue import products as catalogue
from core.catalogue.products import ProductView
from core.errors import InvalidQuantityError, Shortage
from core.orders import views as order_views
from core.stock.holds import HoldView
from core.stock.reservations import MOST_LINES
from storefront import own_hold, shown, visit
from storefront.extensions import current_shop, db
from storefront.pages import blueprint, with_free_at
from storefront.problems import message_of
from storefront.shown import Change


@blueprint.get("/cart", endpoint="cart")
def show_cart(
    shortages: Sequence[Shortage] = (), changes: Collection[Change] = ()
) -> str:
    """Show the cart, with the *shortages* or *changes* for which it was refused."""
    config = current_shop().config
    gone = _take_out_gone().values()
    hold, lines = cart_lines()
    products = {line.product.id: line.product for line in lines}
    options = config.offer.shipping_options
    return render_template(
        "cart.html",
        lines=lines,
        total_cents=sum(line.total_cents for line in lines),
        vat=order_views.vat_within(
            [(line.product.vat_bp, line.total_cents) for line in lines]
        ),
        currency=lines[0].product.currency if lines else "eur",
        hold=hold,
        shipping_options=options,
        hold_minutes=round(config.hold_for.total_seconds() / 60, 2),
        shown=[shown.field_of(line) for line in lines],
        shown_shipping=shown.shipping_field(options),
        is_refused=bool(shortages or changes),
        changes=[*changes, *gone],
        shortages=[
            {
                **vars(shortage),
                "product": product,
                "others": product.reserved - own_hold.units(hold, product.id),
            }
            for shortage in shortages
            if (product := products.get(shortage.product_id))
        ],
    )


def _take_out_gone() -> dict[int, Change]:
    """Take out of the cart what is not on sale any more; tell of each by its id."""
    wanted = visit.cart()
    session = db.session()
    gone = wanted.keys() - catalogue.by_ids(session, wanted.keys()).keys()
    names = catalogue.names_of(session, gone)
    for product_id in gone:
        visit.put(product_id, 0)
    told = _("It is not sold any more, so we took it out of your cart.")
    return {each: Change(names.get(each, _("A product")), told) for each in gone}


def cart_lines() -> tuple[HoldView | None, list[visit.CartLine]]:
    """Return the visitor's open checkout and the lines of the cart still sold."""
    session = db.session()
    wanted = visit.cart()
    known = catalogue.by_ids(session, wanted.keys())
    hold = own_hold.current()
    sold = [known[product_id] for product_id in wanted if product_id in known]

    def is_short(product: ProductView) -> bool:
        return product.available < wanted[product.id]

    return hold, [
        visit.CartLine(product, wanted[product.id], own_hold.units(hold, product.id))
        for product in with_free_at(sold, is_short, hold)
    ]


def changes_since(seen: dict[int, shown.Seen]) -> list[Change]:
    """Return what is not as it was *seen*, or only what is gone if no page was."""
    gone = _take_out_gone()
    if not seen:
        return [*gone.values()]
    _hold, lines = cart_lines()
    out = seen.keys() - visit.cart().keys() - gone.keys()
    missing = catalogue.names_of(db.session(), out)
    changes = [*gone.values(), *shown.changes(seen, lines, missing)]
    options = current_shop().config.offer.shipping_options
    if request.form.get("shown_shipping") != shown.shipping_field(options):
        changes.append(Change(_("Shipping"), _("The costs have changed: see below.")))
    return changes


def _asked(*, least: int) -> tuple[int, int | None]:
    """Read a product's id (404 if there is none) and a quantity, None if invalid."""
    product_id = request.form.get("product_id", type=int) or 0
    is_id = 0 < product_id <= visit.LARGEST_ID
    if not is_id or not catalogue.is_known(db.session(), product_id):
        flask.abort(404)
    text = request.form.get("quantity", "").strip()
    is_number = text.isascii() and text.isdigit() and len(text) <= 6
    return product_id, int(text) if is_number and int(text) >= least else None


@blueprint.post("/cart/add")
def add_to_cart() -> Response:
    product_id, quantity = _asked(least=1)
    if quantity is None:
        flash(_("A quantity must be a whole number of 1 or more."), "error")
        found = catalogue.by_ids(db.session(), [product_id]).get(product_id)
        if found is None:
            return redirect(url_for("pages.products"), 303)
        return redirect(url_for("pages.product", slug=found.slug), 303)
    _put(product_id, visit.cart().get(product_id, 0) + quantity)
    return redirect(url_for("pages.cart"), 303)


@blueprint.post("/cart/change")
def change_cart() -> Response:
    product_id, quantity = _asked(least=0)
    if quantity is None:
        flash(_("A quantity must be a whole number."), "error")
    else:
        _put(product_id, quantity)
    return redirect(url_for("pages.cart"), 303)


def _put(product_id: int, quantity: int) -> None:
    """Set a quantity of the cart; say so if it does not fit."""
    most = visit.LARGEST_QUANTITY
    if quantity > most:
        error = InvalidQuantityError(product_id, quantity, limit=most)
        flash(message_of(error), "error")
    if not visit.put(product_id, quantity):
        told = _(
            "Your cart is full: one order has room for %(number)s different products."
            " %(name)s was not added.",
            number=MOST_LINES,
            name=catalogue.names_of(db.session(), [product_id])[product_id],
        )
        flash(told, "error")


@blueprint.post("/cart/take-available")
def take_available() -> Response:
    _hold, lines = cart_lines()
    for line in lines:
        visit.put(line.product.id, min(line.quantity, line.obtainable))
    out = [line.product.name for line in lines if not line.obtainable]
    if out:
        flash(_("Taken out of your cart: %(names)s.", names=", ".join(out)), "success")
    return redirect(url_for("pages.cart"), 303)


@blueprint.get("/cart/add")
@blueprint.get("/cart/change")
@blueprint.get("/cart/take-available")
@blueprint.get("/checkout", strict_slashes=False)
def lead_to_cart() -> Response:
    """Answer who typed or bookmarked the address of a form."""
    return redirect(url_for("pages.cart"), 303)
