"""
What people and programs are told when something is refused.

Every ShopError has a status and a message. The API answers with
application/problem+json (RFC 9457), a page with a page.
"""

import logging
from dataclasses import asdict
from typing import Any, TypeVar

from flask import Flask, Response, json, make_response, render_template, request
from flask_babel import gettext, lazy_gettext
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from werkzeug.exceptions import HTTPException

from core import errors
from core.errors import ShopError

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
    errors.TooManyHoldsError: 429,
    errors.EarlierPaidError: 409,
    errors.RefundRefusedError: 409,
    errors.HoldEndedError: 503,
    errors.BusyError: 503,
    errors.PaymentError: 503,
    errors.PaymentUnavailableError: 503,
    errors.WebhookSignatureError: 400,
}
RETRY_AFTER_SECONDS = {429: 60, 503: 5}
PROBLEM_TYPE = "application/problem+json"

TITLES = {
    400: lazy_gettext("That request could not be read"),
    401: lazy_gettext("That needs a key"),
    403: lazy_gettext("That is not allowed"),
    404: lazy_gettext("There is nothing here"),
    405: lazy_gettext("That cannot be done here"),
    409: lazy_gettext("There is less than you asked for"),
    413: lazy_gettext("That is too large"),
    415: lazy_gettext("Send JSON, please"),
    422: lazy_gettext("That cannot be ordered"),
    429: lazy_gettext("That was a bit too often"),
    500: lazy_gettext("Something went wrong on our side"),
    503: lazy_gettext("That does not work just now"),
}
MESSAGES: dict[type[ShopError], object] = {
    ShopError: lazy_gettext("Please try again, or go back to the shop."),
    errors.ProductNotFoundError: lazy_gettext(
        "A product in the cart does not exist any more."
    ),
    errors.CartError: lazy_gettext("The cart cannot be ordered as it is."),
    errors.EmptyCartError: lazy_gettext("There is nothing in the cart."),
    errors.InvalidQuantityError: lazy_gettext(
        "A quantity must be a whole number of 1 or more."
    ),
    errors.InsufficientStockError: lazy_gettext(
        "Nothing was reserved. See what is left of each product."
    ),
    errors.TooManyHoldsError: lazy_gettext(
        "Too many payment pages are open. Pay or cancel one first."
    ),
    errors.EarlierPaidError: lazy_gettext("You had paid already."),
    errors.HoldEndedError: lazy_gettext(
        "Your reservation ended meanwhile. Please check out again."
    ),
    errors.BusyError: lazy_gettext(
        "It is very busy now. Please try again in a moment."
    ),
    errors.WebhookSignatureError: lazy_gettext(
        "This message was not signed by Stripe for this shop."
    ),
    errors.PaymentError: lazy_gettext(
        "We cannot reach the payment company now. Nothing was charged; please try"
        " again in a minute."
    ),
}


def status_of(error: ShopError) -> int:
    return _nearest(STATUSES, error)


def message_of(error: ShopError) -> str:
    """Tell a customer what was refused, and what to do."""
    if isinstance(error, errors.InvalidQuantityError) and error.limit:
        return str(
            gettext("You can order at most %(limit)s of a product.", limit=error.limit)
        )
    return str(_nearest(MESSAGES, error))


def _nearest(table: dict[type[ShopError], T], error: ShopError) -> T:
    """Look up the error's own class, or else the nearest one above it."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def members_of(error: ShopError) -> dict[str, Any]:
    """Return the data of a refusal, for a program."""
    match error:
        case errors.InsufficientStockError(shortages=shortages):
            return {"shortages": [asdict(shortage) for shortage in shortages]}
        case errors.ProductNotFoundError(product_ids=ids):
            return {"product_ids": list(ids)}
        case errors.InvalidQuantityError(product_id=product_id):
            return {"product_id": product_id}
    return {}


def is_api() -> bool:
    return request.path.startswith("/api/")


def problem(status: int, detail: str, **members: Any) -> Response:
    """Answer with application/problem+json."""
    title = str(TITLES.get(status, ""))
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return _with_retry(
        Response(json.dumps(body | members), status, mimetype=PROBLEM_TYPE)
    )


def page(status: int, message: str) -> Response:
    title = TITLES.get(status, TITLES[500])
    body = render_template("error.html", code=status, title=title, message=message)
    return _with_retry(make_response(body, status))


def _with_retry(response: Response) -> Response:
    if seconds := RETRY_AFTER_SECONDS.get(response.status_code):
        response.headers["Retry-After"] = str(seconds)
    return response


def answer_shop_error(error: ShopError) -> Response:
    status, message = status_of(error), message_of(error)
    if status >= 500:
        logger.warning("%s %s: %s", request.method, request.path, error)
    if is_api():
        return problem(status, message, **members_of(error))
    return page(status, message)


def answer_database_failure(error: Exception) -> Response:
    """Answer while the database cannot be reached, as in a failover."""
    # Without the statement: its values may be a customer's data.
    cause = getattr(error, "orig", error)
    logger.error("%s %s: %s", request.method, request.path, cause)
    return answer_shop_error(errors.BusyError())


def answer_http_exception(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return Response(error.get_body(), error.code, error.get_headers())
    answered = (
        problem(error.code, error.description or error.name)
        if is_api()
        else page(error.code, _page_message(error))
    )
    # Keep Allow, WWW-Authenticate and the like.
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            answered.headers.setdefault(name, value)
    return answered


def _page_message(error: HTTPException) -> str:
    if isinstance(error, CSRFError):
        return str(gettext("Your visit was over. Please go back and try again."))
    if error.code == 404:
        return str(gettext("The page does not exist, or the product is gone."))
    if error.code == 429:
        return str(gettext("Please wait a minute and try again."))
    return str(MESSAGES[ShopError])


def init_app(app: Flask) -> None:
    app.register_error_handler(ShopError, answer_shop_error)
    app.register_error_handler(HTTPException, answer_http_exception)
    for failure in (OperationalError, NoConnectionError):
        app.register_error_handler(failure, answer_database_failure)
