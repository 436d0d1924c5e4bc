"""The pages of the shop up to the cart."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import flask
from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from core.catalogue import products as catalogue
from core.catalogue.products import ProductView
from core.errors import Shortage
from core.orders import views as order_views
from core.stock import holds
from core.stock.holds import HoldView
from storefront import language, visit
from storefront.extensions import current_shop, db

blueprint = flask.Blueprint("pages", __name__)


@blueprint.app_context_processor
def cart_count() -> dict[str, int]:
    return {"cart_count": sum(visit.cart().values())}


@blueprint.app_template_filter()
def image_url(image: str) -> str | None:
    """Return the address of a product's own picture, if the shop has it."""
    # A picture elsewhere is not shown: fetching it would tell who looks at what.
    if not image or is_elsewhere(image):
        return None
    return url_for("static", filename=image)


def is_elsewhere(image: str) -> bool:
    """Tell whether a product's picture is on another host."""
    return "://" in image or image.startswith("//")


def with_free_at(
    products: list[ProductView], is_asked: Callable[[ProductView], bool]
) -> list[ProductView]:
    """Add when held units may come back, where *is_asked* for a product."""
    shop = current_shop()
    ids = [product.id for product in products if product.reserved and is_asked(product)]
    times = holds.free_at(db.session(), ids, until=shop.clock() + shop.config.hold_for)
    return [replace(product, free_at=times.get(product.id)) for product in products]


def is_all_held(product: ProductView) -> bool:
    return product.available == 0


@blueprint.get("/")
def products() -> str:
    query = request.args.get("q", "").strip()[:100]
    found = with_free_at(catalogue.listed(db.session(), text=query), is_all_held)
    return render_template("products.html", products=found, query=query)


@blueprint.get("/products/<slug>")
def product(slug: str) -> str:
    shop = current_shop()
    found = catalogue.by_slug(db.session(), slug)
    if found is None:
        flask.abort(404)
    (found,) = with_free_at([found], is_all_held)
    # Checkout reclaims units whose hold is over, so they can be bought already.
    is_overdue = is_all_held(found) and holds.is_overdue(
        db.session(), [found.id], shop.clock()
    )
    obtainable = found.reserved if is_overdue else found.available
    limit = shop.config.limits.quantity_per_product
    most = min(obtainable, limit) if limit else obtainable
    return render_template(
        "product.html",
        product=found,
        is_obtainable=obtainable > 0,
        max_quantity=most - visit.cart().get(found.id, 0),
    )


@blueprint.get("/cart", endpoint="cart")
def show_cart(shortages: Sequence[Shortage] = ()) -> str:
    """Show the cart, with the *shortages* for which it was refused."""
    config, now = current_shop().config, current_shop().clock()
    hold, lines = cart_lines()
    products = {line.product.id: line.product for line in lines}
    return render_template(
        "cart.html",
        lines=lines,
        total_cents=sum(line.total_cents for line in lines),
        vat=order_views.vat_within(
            [(line.product.vat_bp, line.total_cents) for line in lines]
        ),
        currency=lines[0].product.currency if lines else "eur",
        hold=hold,
        hold_seconds=(hold.expires_at - now).total_seconds() if hold else 0,
        shipping_options=config.offer.shipping_options,
        hold_minutes=round(config.hold_for.total_seconds() / 60, 2),
        shortages=[
            {**vars(shortage), "product": products[shortage.product_id]}
            for shortage in shortages
            if shortage.product_id in products
        ],
    )


def cart_lines() -> tuple[HoldView | None, list[visit.CartLine]]:
    """Return the visitor's open checkout and the lines of the cart still sold."""
    session = db.session()
    wanted = visit.cart()
    known = catalogue.by_ids(session, wanted.keys())
    hold = holds.open_hold(session, visit.visitor_id(), current_shop().clock())
    own = hold.units if hold else {}
    sold = [known[product_id] for product_id in wanted if product_id in known]

    def is_short(product: ProductView) -> bool:
        return product.available < wanted[product.id]

    return hold, [
        visit.CartLine(product, wanted[product.id], own.get(product.id, 0))
        for product in with_free_at(sold, is_short)
    ]


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
        return redirect(request.referrer or url_for("pages.products"), 303)
    visit.put(product_id, visit.cart().get(product_id, 0) + quantity)
    return redirect(url_for("pages.cart"), 303)


@blueprint.post("/cart/change")
def change_cart() -> Response:
    product_id, quantity = _asked(least=0)
    if quantity is None:
        flash(_("A quantity must be a whole number."), "error")
    else:
        visit.put(product_id, quantity)
    return redirect(url_for("pages.cart"), 303)


@blueprint.post("/cart/take-available")
def take_available() -> Response:
    _hold, lines = cart_lines()
    for line in lines:
        visit.put(line.product.id, min(line.quantity, line.obtainable))
    return redirect(url_for("pages.cart"), 303)


@blueprint.post("/language")
def choose_language() -> Response:
    chosen = request.form.get("locale")
    if chosen in language.LOCALES:
        flask.session.permanent = True
        flask.session["locale"] = chosen
    target = request.form.get("next", "/")
    # Only a path of our own: anything else would be an open redirect.
    is_ours = re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", target)
    return redirect(target if is_ours else "/", 303)


@blueprint.get("/orders/<token>")
def order(token: str) -> str:
    found = order_views.by_token(db.session(), token)
    if found is None:
        flask.abort(404)
    return render_template("order.html", order=found)
