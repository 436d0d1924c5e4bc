"""The JSON API, Stripe's webhook and the route for a cron job."""

import hmac
import json
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Unauthorized, UnsupportedMediaType

from core.catalogue import products as catalogue
from core.checkout import events, expiry, payment_page
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
    page = payment_page.begin(
        current_shop(),
        _cart(),
        visitor=visit.visitor(),
        notice=visit.payment_notice,
    )
    answer = jsonify(
        checkout_id=page.checkout_id,
        stripe_session_id=page.stripe_session_id,
        url=page.url,
        expires_at=language.iso(page.expires_at),
    )
    return answer, 201


def _cart() -> dict[int, int]:
    """Read the cart in the body. Raises CartError, ProductNotFoundError or HTTP's."""
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
    return sum_cart([_line_in(item) for item in items])


def _line_in(item: Any) -> tuple[int, Any]:
    if not isinstance(item, dict):
        raise CartError("an item must be an object")
    product_id = item.get("product_id")
    if type(product_id) is not int:
        raise CartError("a product_id must be a whole number")
    if not 0 < product_id <= visit.LARGEST_ID:
        raise ProductNotFoundError([product_id])
    return product_id, item.get("quantity")


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
