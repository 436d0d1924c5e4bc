"""The JSON API, Stripe's webhook and the route for a cron job."""

import hmac
import json
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Unauthorized, UnsupportedMediaType

from core.catalogue import products as catalogue
from core.checkout import events, expiry, payment_page
from core.checkout.prices import Price
from core.errors import CartError, EmptyCartError, ProductNotFoundError
from core.stock.reservations import sum_cart
from storefront import language, visit
from storefront.extensions import count_checkout, current_shop, db

PRODUCT_FIELDS = ("id", "sku", "name", "price_cents", "currency", "available")

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/products")
def products() -> Response:
    listed = catalogue.listed(db.session())
    told = [{name: getattr(each, name) for name in PRODUCT_FIELDS} for each in listed]
    return jsonify(products=told)


@blueprint.post("/checkout")
def start_checkout() -> tuple[Response, int]:
    count_checkout()
    items = _items()
    page = payment_page.begin(
        current_shop(),
        sum_cart([_line_in(item) for item in items]),
        visitor=visit.visitor(),
        notice=visit.payment_notice,
        seen=_prices_in(items),
    )
    answer = jsonify(
        checkout_id=page.checkout_id,
        stripe_session_id=page.stripe_session_id,
        url=page.url,
        expires_at=language.iso(page.expires_at),
    )
    return answer, 201


def _items() -> list[dict[str, Any]]:
    """Read the items in the body. Raises CartError or HTTP's errors."""
    try:
        body = json.loads(request.get_data().decode())
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error
    if not request.is_json:
        # Another site's form can send JSON as text/plain, but not as application/json.
        raise UnsupportedMediaType("the content type must be application/json")
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise CartError('the body must be an object with a list "items"')
    if not items:
        raise EmptyCartError
    if not all(isinstance(item, dict) for item in items):
        raise CartError("an item must be an object")
    return items


def _line_in(item: dict[str, Any]) -> tuple[int, Any]:
    product_id = item.get("product_id")
    if type(product_id) is not int:
        raise CartError("a product_id must be a whole number")
    if not 0 < product_id <= visit.LARGEST_ID:
        raise ProductNotFoundError([product_id])
    return product_id, item.get("quantity")


def _prices_in(items: list[dict[str, Any]]) -> dict[int, Price]:
    """Return the prices that the caller has seen, of the items that name one."""
    seen: dict[int, Price] = {}
    for item in items:
        cents = item.get("unit_price_cents")
        if cents is None:
            continue
        if type(cents) is not int or cents < 0:
            raise CartError("a unit_price_cents must be a whole number of 0 or more")
        if seen.setdefault(item["product_id"], Price(cents)) != Price(cents):
            raise CartError("a product has two different unit_price_cents")
    return seen


@blueprint.post("/stripe/webhook")
def webhook() -> Response:
    shop = current_shop()
    signature = request.headers.get("Stripe-Signature")
    event = shop.gateway.read_event(request.get_data(), signature, shop.clock())
    events.record_event(shop, event)
    return jsonify(received=True)


@blueprint.route("/cron/cleanup-stock-reservations", methods=["GET", "POST"])
def clean_up() -> Response:
    shop = current_shop()
    given = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {shop.config.cron_secret}".encode()):
        raise Unauthorized(
            "Authorization: Bearer with the cron secret",
            www_authenticate=WWWAuthenticate("bearer"),
        )
    swept = expiry.sweep(shop, everything=True)
    return jsonify(expired=swept.expired, confirmed=swept.confirmed, kept=swept.kept)
