"""The pages of the shop but for the cart and the way to pay."""

import re
from collections.abc import Callable
from dataclasses import replace

import flask
from flask import redirect, render_template, request, url_for
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from werkzeug.wrappers import Response

from core.catalogue import products as catalogue
from core.catalogue.products import ProductView
from core.orders import views as order_views
from core.stock import holds
from core.stock.holds import HoldView
from storefront import language, own_hold, visit
from storefront.extensions import current_shop, db

blueprint = flask.Blueprint("pages", __name__)


@blueprint.app_context_processor
def cart_count() -> dict[str, int]:
    try:
        units = visit.cart()
    except (OperationalError, NoConnectionError):
        # The page that tells of this very failure shows what the cookie says.
        units = visit.as_remembered()
    return {"cart_count": sum(units.values())}


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
    products: list[ProductView],
    is_asked: Callable[[ProductView], bool],
    hold: HoldView | None,
) -> list[ProductView]:
    """Add when units of others than *hold* may come back, where *is_asked*."""
    shop = current_shop()
    ids = [
        product.id
        for product in products
        if product.reserved > own_hold.units(hold, product.id) and is_asked(product)
    ]
    until = shop.clock() + shop.config.hold_for
    besides = hold.checkout_id if hold else 0
    times = holds.free_at(db.session(), ids, until=until, besides=besides)
    return [replace(product, free_at=times.get(product.id)) for product in products]


def is_all_held(product: ProductView) -> bool:
    return product.available == 0


@blueprint.get("/")
def products() -> str:
    query = request.args.get("q", "").strip()[:100]
    hold = own_hold.current()
    listed = catalogue.listed(db.session(), text=query)
    found = with_free_at(listed, is_all_held, hold)
    return render_template("products.html", products=found, query=query, hold=hold)


@blueprint.get("/products/<slug>")
def product(slug: str) -> str:
    shop = current_shop()
    found = catalogue.by_slug(db.session(), slug)
    if found is None:
        flask.abort(404)
    hold = own_hold.current()
    (found,) = with_free_at([found], is_all_held, hold)
    # Checkout reclaims units whose hold is over, so they can be bought already.
    is_overdue = is_all_held(found) and holds.is_overdue(
        db.session(), [found.id], shop.clock()
    )
    own = own_hold.units(hold, found.id)
    # A new checkout replaces the visitor's own.
    obtainable = found.reserved if is_overdue else found.available + own
    limit = shop.config.limits.quantity_per_product
    most = min(obtainable, limit) if limit else obtainable
    return render_template(
        "product.html",
        product=found,
        hold=hold,
        own=own,
        is_obtainable=obtainable > 0,
        limit=limit if limit and limit <= obtainable else 0,
        max_quantity=most - visit.cart().get(found.id, 0),
    )


@blueprint.get("/language")
def lead_home() -> Response:
    """Answer who typed or bookmarked the address of a form."""
    return redirect(url_for("pages.products"), 303)


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
