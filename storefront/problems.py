"""
What people and programs are told when something is refused.

Every ShopError has a status and a message. The API answers with
application/problem+json (RFC 9457), a page with a page.
"""

import logging
import math
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypeVar

from flask import (
    Flask,
    Response,
    current_app,
    json,
    make_response,
    render_template,
    request,
)
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from werkzeug.exceptions import HTTPException

from core import errors
from core.errors import ShopError
from core.models.limits import NETWORK, SHARE, UNPAID, VISITOR
from storefront import language
from storefront.extensions import current_shop

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The status of an error is that of its nearest class here.
STATUSES: dict[type[ShopError], int] = {
    errors.ConfigError: 500,
    errors.OwnerError: 422,
    errors.CatalogueError: 422,
    errors.CopyError: 409,
    errors.NotFoundError: 404,
    errors.ProductNotFoundError: 422,
    # Stripe must send the event again, so that it is not lost.
    errors.CheckoutNotFoundError: 503,
    errors.CartError: 422,
    errors.StockError: 409,
    errors.PriceChangedError: 409,
    errors.TooManyHoldsError: 429,
    errors.TooManyTriesError: 429,
    errors.EarlierPaidError: 409,
    errors.RefundRefusedError: 409,
    errors.HoldEndedError: 503,
    errors.BusyError: 503,
    errors.PaymentError: 503,
    errors.PaymentUnavailableError: 503,
    errors.WebhookSignatureError: 400,
}
RETRY_AFTER_SECONDS = {429: 60, 503: 5}

TITLES = {
    400: _("That request could not be read"),
    401: _("That needs a key"),
    403: _("No access"),
    404: _("This page does not exist"),
    405: _("That cannot be done here"),
    409: _("There is less than you want to order"),
    413: _("That is too large"),
    415: _("Send JSON, please"),
    421: _("This is not the address of the shop"),
    422: _("That cannot be ordered"),
    429: _("Too many attempts"),
    500: _("Something went wrong on our side"),
    503: _("That does not work just now"),
}
# Where the status alone would say something else.
TITLES_OF: dict[type[ShopError], object] = {
    errors.PriceChangedError: _("A price has changed"),
}
MESSAGES: dict[type[ShopError], object] = {
    ShopError: _("Please try again, or go back to the shop."),
    errors.ProductNotFoundError: _("A product in the cart does not exist any more."),
    errors.CartError: _("The cart cannot be ordered as it is."),
    errors.EmptyCartError: _("There is nothing in the cart."),
    errors.InvalidQuantityError: _("A quantity must be a whole number of 1 or more."),
    errors.InsufficientStockError: _(
        "Nothing was reserved. See what is left of each product."
    ),
    errors.PriceChangedError: _("A price has changed. Nothing was reserved."),
    errors.TooManyTriesError: _("Please wait a minute and try again."),
    errors.EarlierPaidError: _("You had paid already."),
    errors.HoldEndedError: _(
        "Your reservation ended meanwhile. Please check out again."
    ),
    errors.BusyError: _("It is very busy now. Please try again in a moment."),
    errors.WebhookSignatureError: _(
        "This message was not signed by Stripe for this shop."
    ),
    errors.PaymentError: _(
        "We cannot reach the payment company now. Nothing was charged; please try"
        " again in a minute."
    ),
}
NO_COOKIE = _(
    "The shop needs one cookie, for your cart. Go back to the shop and try again. If"
    " you read this once more, your browser does not allow cookies: allow them for this"
    " site."
)
# Why a visitor or a network cannot reserve now; until when is said, too.
LIMITS = {
    VISITOR: _(
        "Some payments of yours are still on their way. You can order again from"
        " %(time)s."
    ),
    NETWORK: _(
        "Many people are checking out from your network now. Please try again at"
        " %(time)s; your cart stays as it is."
    ),
    SHARE: _(
        "We do not hold this many of one product for one address at a time. Take"
        " fewer, or try again at %(time)s."
    ),
    UNPAID: _(
        "We have held products several times that were not paid for. Please try again"
        " at %(time)s; your cart stays as it is."
    ),
}
PAGE_MESSAGES = {
    404: _("The address may be wrong, or the product is gone."),
    429: _("Please wait a minute and try again."),
}


def status_of(error: ShopError) -> int:
    return _nearest(STATUSES, error)


def message_of(error: ShopError) -> str:
    """Tell a customer what was refused, and what to do."""
    if isinstance(error, errors.InvalidQuantityError) and error.limit:
        return str(
            _("You can order at most %(limit)s of a product.", limit=error.limit)
        )
    if isinstance(error, errors.TooManyHoldsError):
        return str(LIMITS[error.reason]) % {
            "time": language.clock(_minute_after(error))
        }
    return str(_nearest(MESSAGES, error))


def _minute_after(error: errors.TooManyHoldsError) -> datetime:
    """Return the first full minute at which it is worth another try."""
    return error.until.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _nearest(table: dict[type[ShopError], T], error: ShopError) -> T:
    """Look up the error's own class, or else the nearest one above it."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def members_of(error: ShopError) -> dict[str, Any]:
    """Return the data of a refusal, for a program."""
    match error:
        case errors.InsufficientStockError(shortages=shortages):
            return {"shortages": [asdict(shortage) for shortage in shortages]}
        case errors.PriceChangedError(changes=changes):
            return {"price_changes": [asdict(change) for change in changes]}
        case errors.ProductNotFoundError(product_ids=ids):
            return {"product_ids": list(ids)}
        case errors.InvalidQuantityError(product_id=product_id):
            return {"product_id": product_id}
        case errors.TooManyHoldsError(until=until, product_ids=ids):
            return {"retry_at": language.iso(until), "product_ids": list(ids)}
    return {}


def answer(
    status: int,
    detail: str,
    members: dict[str, Any],
    *,
    on_page: object,
    title: object = "",
) -> Response:
    """Answer a program with a problem, a person with a page."""
    if request.path.startswith("/api/"):
        named = str(title or TITLES.get(status, ""))
        told = {"type": "about:blank", "title": named, "status": status}
        body = json.dumps({**told, "detail": detail, **members})
        response = Response(body, status, mimetype="application/problem+json")
    else:
        title = title or TITLES.get(status, TITLES[500])
        page = render_template(
            "error.html", code=status, title=title, message=str(on_page)
        )
        response = make_response(page, status)
    if seconds := RETRY_AFTER_SECONDS.get(status):
        response.headers["Retry-After"] = str(seconds)
    return response


def retry_after(error: ShopError) -> dict[str, str]:
    """Return the header that says in how many seconds it is worth another try."""
    if not isinstance(error, errors.TooManyHoldsError | errors.TooManyTriesError):
        return {}
    seconds = (error.until - current_shop().clock()).total_seconds()
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def answer_shop_error(error: ShopError) -> Response:
    status, message = status_of(error), message_of(error)
    if status >= 500:
        logger.warning("%s %s: %s", request.method, request.path, error)
    title = TITLES_OF.get(type(error), "")
    members = members_of(error)
    answered = answer(status, message, members, on_page=message, title=title)
    answered.headers.update(retry_after(error))
    return answered


def answer_database_failure(error: Exception) -> Response:
    """Answer while the database cannot be reached, as in a failover."""
    # Without the statement: its values may be a customer's data.
    cause = getattr(error, "orig", error)
    logger.error("%s %s: %s", request.method, request.path, cause)
    return answer_shop_error(errors.BusyError())


def answer_http_exception(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return Response(error.get_body(), error.code, error.get_headers())
    hint = PAGE_MESSAGES.get(error.code, MESSAGES[ShopError])
    title: object = ""
    if isinstance(error, CSRFError):
        hint = _("Your visit was over. Please go back and try again.")
        if current_app.config["SESSION_COOKIE_NAME"] not in request.cookies:
            title, hint = _("Your browser sent no cookie"), NO_COOKIE
    detail = error.description or error.name
    answered = answer(error.code, detail, {}, on_page=hint, title=title)
    # Keep Allow, WWW-Authenticate and the like.
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            answered.headers.setdefault(name, value)
    return answered


def init_app(app: Flask) -> None:
    app.register_error_handler(ShopError, answer_shop_error)
    app.register_error_handler(HTTPException, answer_http_exception)
    for failure in (OperationalError, NoConnectionError):
        app.register_error_handler(failure, answer_database_failure)
