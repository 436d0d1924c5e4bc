"""Routes by which Stripe's command-line client makes products and pays."""

from stripe import params as types

from stripe_emulator.api.route import Call, Route, new, one
from stripe_emulator.checkout import catalogue
from stripe_emulator.money import payment_intents, payment_methods, payment_pages
from stripe_emulator.state.account import Json

_INTENTS = "/v1/payment_intents"
_PRODUCTS = "/v1/products"
_PRICES = "/v1/prices"
_METHODS = "/v1/payment_methods"
_PAGES = "/v1/payment_pages"


def _new_method(call: Call) -> Json:
    return payment_methods.create(call.account, call.params)


def _page(call: Call) -> Json:
    return payment_pages.retrieve(call.account, call.object_id)


def _confirm(call: Call) -> Json:
    return payment_pages.confirm(call.account, call.object_id, call.params)


ROUTES = (
    Route(
        "create_payment_intent",
        "POST",
        _INTENTS,
        types.PaymentIntentCreateParams,
        new(payment_intents.create),
    ),
    Route(
        "create_product",
        "POST",
        _PRODUCTS,
        types.ProductCreateParams,
        new(catalogue.create_product),
    ),
    Route(
        "retrieve_product",
        "GET",
        f"{_PRODUCTS}/<object_id>",
        types.ProductRetrieveParams,
        one("products"),
    ),
    Route(
        "create_price",
        "POST",
        _PRICES,
        types.PriceCreateParams,
        new(catalogue.create_price),
    ),
    Route(
        "retrieve_price",
        "GET",
        f"{_PRICES}/<object_id>",
        types.PriceRetrieveParams,
        one("prices"),
    ),
    Route(
        "create_payment_method",
        "POST",
        _METHODS,
        types.PaymentMethodCreateParams,
        _new_method,
    ),
    Route(
        "retrieve_payment_method",
        "GET",
        f"{_METHODS}/<object_id>",
        types.PaymentMethodRetrieveParams,
        one("payment_methods"),
    ),
    Route(
        "retrieve_payment_page",
        "GET",
        f"{_PAGES}/<object_id>",
        payment_pages.PageParams,
        _page,
    ),
    # Has the name under which the hosted page pays: faults and barriers apply to both.
    Route(
        "pay",
        "POST",
        f"{_PAGES}/<object_id>/confirm",
        payment_pages.ConfirmParams,
        _confirm,
    ),
)
