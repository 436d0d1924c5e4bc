"""The part of the API that is emulated: one row a call, and what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stripe import params as types
from stripe.params import checkout

from stripe_emulator.api import lists
from stripe_emulator.checkout import (
    catalogue,
    coupons,
    promotion_codes,
    sessions,
    shipping,
)
from stripe_emulator.money import (
    payment_intents,
    payment_methods,
    payment_pages,
    refunds,
)
from stripe_emulator.state.account import Account, Json


@dataclass(frozen=True)
class Call:
    """One request whose parameters have been judged."""

    account: Account
    object_id: str
    params: Json
    request: Json


@dataclass(frozen=True)
class Route:
    name: str
    method: str
    path: str
    params: Any
    act: Callable[[Call], Json]


def _create(call: Call) -> Json:
    return sessions.create(call.account, call.params)


def _session(call: Call) -> Json:
    return call.account.get("sessions", call.object_id)


def _update(call: Call) -> Json:
    return sessions.update(call.account, _session(call), call.params)


def _expire(call: Call) -> Json:
    return sessions.expire(call.account, _session(call), request=call.request)


def _line_items(call: Call) -> Json:
    lines = sessions.line_items(call.account, _session(call))
    url = f"/v1/checkout/sessions/{call.object_id}/line_items"
    return lists.cut(lines, call.params, url=url)


def _refund(call: Call) -> Json:
    return refunds.create(call.account, call.params, request=call.request)


def _update_refund(call: Call) -> Json:
    found = call.account.get("refunds", call.object_id)
    return refunds.update(call.account, found, call.params, request=call.request)


def _new_coupon(call: Call) -> Json:
    return coupons.create(call.account, call.params, request=call.request)


def _coupon(call: Call) -> Json:
    found = call.account.get("coupons", call.object_id)
    return coupons.current(call.account, found)


def _coupons(call: Call) -> Json:
    rows = call.account.tables["coupons"].values()
    current = [coupons.current(call.account, row) for row in rows]
    return lists.page(current, call.params, url=_COUPONS)


def _no_coupon(call: Call) -> Json:
    return coupons.delete(call.account, call.object_id, request=call.request)


def _new_code(call: Call) -> Json:
    return promotion_codes.create(call.account, call.params, request=call.request)


def _code(call: Call) -> Json:
    found = call.account.get("promotion_codes", call.object_id)
    return promotion_codes.current(call.account, found)


def _update_code(call: Call) -> Json:
    return promotion_codes.update(
        call.account, _code(call), call.params, request=call.request
    )


def _codes(call: Call) -> Json:
    rows = call.account.tables["promotion_codes"].values()
    current = [promotion_codes.current(call.account, row) for row in rows]
    return lists.page(current, call.params, url=_CODES)


def _new_rate(call: Call) -> Json:
    return shipping.create(call.account, call.params)


def _new_product(call: Call) -> Json:
    return catalogue.create_product(call.account, call.params, request=call.request)


def _new_price(call: Call) -> Json:
    return catalogue.create_price(call.account, call.params, request=call.request)


def _new_method(call: Call) -> Json:
    return payment_methods.create(call.account, call.params)


def _new_intent(call: Call) -> Json:
    return payment_intents.create(call.account, call.params, request=call.request)


def _page(call: Call) -> Json:
    return payment_pages.retrieve(call.account, call.object_id)


def _confirm(call: Call) -> Json:
    return payment_pages.confirm(call.account, call.object_id, call.params)


def _one(table: str) -> Callable[[Call], Json]:
    return lambda call: call.account.get(table, call.object_id)


def _many(table: str, url: str) -> Callable[[Call], Json]:
    def act(call: Call) -> Json:
        rows = call.account.tables[table].values()
        return lists.page(rows, call.params, url=url)

    return act


_SESSIONS, _ONE_SESSION = "/v1/checkout/sessions", "/v1/checkout/sessions/<object_id>"
_INTENTS, _CHARGES = "/v1/payment_intents", "/v1/charges"
_REFUNDS, _EVENTS = "/v1/refunds", "/v1/events"
_COUPONS, _CODES = "/v1/coupons", "/v1/promotion_codes"
_RATES, _DISPUTES = "/v1/shipping_rates", "/v1/disputes"
_PRODUCTS, _PRICES = "/v1/products", "/v1/prices"
_METHODS, _PAGES = "/v1/payment_methods", "/v1/payment_pages"

ROUTES = (
    Route("create", "POST", _SESSIONS, checkout.SessionCreateParams, _create),
    Route(
        "list",
        "GET",
        _SESSIONS,
        checkout.SessionListParams,
        _many("sessions", _SESSIONS),
    ),
    Route("retrieve", "GET", _ONE_SESSION, checkout.SessionRetrieveParams, _session),
    Route("update", "POST", _ONE_SESSION, checkout.SessionUpdateParams, _update),
    Route(
        "expire",
        "POST",
        f"{_ONE_SESSION}/expire",
        checkout.SessionExpireParams,
        _expire,
    ),
    Route(
        "line_items",
        "GET",
        f"{_ONE_SESSION}/line_items",
        checkout.SessionListLineItemsParams,
        _line_items,
    ),
    Route(
        "list_payment_intents",
        "GET",
        _INTENTS,
        types.PaymentIntentListParams,
        _many("payment_intents", _INTENTS),
    ),
    Route(
        "retrieve_payment_intent",
        "GET",
        f"{_INTENTS}/<object_id>",
        types.PaymentIntentRetrieveParams,
        _one("payment_intents"),
    ),
    Route(
        "retrieve_charge",
        "GET",
        f"{_CHARGES}/<object_id>",
        types.ChargeRetrieveParams,
        _one("charges"),
    ),
    Route("refund", "POST", _REFUNDS, types.RefundCreateParams, _refund),
    Route(
        "list_refunds",
        "GET",
        _REFUNDS,
        types.RefundListParams,
        _many("refunds", _REFUNDS),
    ),
    Route(
        "retrieve_refund",
        "GET",
        f"{_REFUNDS}/<object_id>",
        types.RefundRetrieveParams,
        _one("refunds"),
    ),
    Route(
        "update_refund",
        "POST",
        f"{_REFUNDS}/<object_id>",
        types.RefundModifyParams,
        _update_refund,
    ),
    Route(
        "list_disputes",
        "GET",
        _DISPUTES,
        types.DisputeListParams,
        _many("disputes", _DISPUTES),
    ),
    Route(
        "retrieve_dispute",
        "GET",
        f"{_DISPUTES}/<object_id>",
        types.DisputeRetrieveParams,
        _one("disputes"),
    ),
    Route("create_coupon", "POST", _COUPONS, types.CouponCreateParams, _new_coupon),
    Route("list_coupons", "GET", _COUPONS, types.CouponListParams, _coupons),
    Route(
        "retrieve_coupon",
        "GET",
        f"{_COUPONS}/<object_id>",
        types.CouponRetrieveParams,
        _coupon,
    ),
    Route(
        "delete_coupon",
        "DELETE",
        f"{_COUPONS}/<object_id>",
        types.CouponDeleteParams,
        _no_coupon,
    ),
    Route(
        "create_promotion_code",
        "POST",
        _CODES,
        types.PromotionCodeCreateParams,
        _new_code,
    ),
    Route("list_promotion_codes", "GET", _CODES, types.PromotionCodeListParams, _codes),
    Route(
        "retrieve_promotion_code",
        "GET",
        f"{_CODES}/<object_id>",
        types.PromotionCodeRetrieveParams,
        _code,
    ),
    Route(
        "update_promotion_code",
        "POST",
        f"{_CODES}/<object_id>",
        types.PromotionCodeModifyParams,
        _update_code,
    ),
    Route(
        "create_shipping_rate",
        "POST",
        _RATES,
        types.ShippingRateCreateParams,
        _new_rate,
    ),
    Route(
        "list_shipping_rates",
        "GET",
        _RATES,
        types.ShippingRateListParams,
        _many("shipping_rates", _RATES),
    ),
    Route(
        "retrieve_shipping_rate",
        "GET",
        f"{_RATES}/<object_id>",
        types.ShippingRateRetrieveParams,
        _one("shipping_rates"),
    ),
    Route(
        "create_payment_intent",
        "POST",
        _INTENTS,
        types.PaymentIntentCreateParams,
        _new_intent,
    ),
    Route("create_product", "POST", _PRODUCTS, types.ProductCreateParams, _new_product),
    Route(
        "retrieve_product",
        "GET",
        f"{_PRODUCTS}/<object_id>",
        types.ProductRetrieveParams,
        _one("products"),
    ),
    Route("create_price", "POST", _PRICES, types.PriceCreateParams, _new_price),
    Route(
        "retrieve_price",
        "GET",
        f"{_PRICES}/<object_id>",
        types.PriceRetrieveParams,
        _one("prices"),
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
        _one("payment_methods"),
    ),
    Route(
        "retrieve_payment_page",
        "GET",
        f"{_PAGES}/<object_id>",
        payment_pages.PageParams,
        _page,
    ),
    # Whoever pays, on the page or by this call, meets the same faults and barriers.
    Route(
        "pay",
        "POST",
        f"{_PAGES}/<object_id>/confirm",
        payment_pages.ConfirmParams,
        _confirm,
    ),
    Route(
        "list_events", "GET", _EVENTS, types.EventListParams, _many("events", _EVENTS)
    ),
    Route(
        "retrieve_event",
        "GET",
        f"{_EVENTS}/<object_id>",
        types.EventRetrieveParams,
        _one("events"),
    ),
)
ROUTE_NAMES = (*(route.name for route in ROUTES), "settle")
