"""Routes for coupons, promotion codes and shipping rates."""

from stripe import params as types

from stripe_emulator.api import lists
from stripe_emulator.api.route import Call, Route, many, new, one
from stripe_emulator.checkout import coupons, promotion_codes, shipping
from stripe_emulator.state.account import Json

_COUPONS = "/v1/coupons"
_CODES = "/v1/promotion_codes"
_RATES = "/v1/shipping_rates"


def _coupon(call: Call) -> Json:
    found = call.account.get("coupons", call.object_id)
    return coupons.current(call.account, found)


def _coupons(call: Call) -> Json:
    rows = call.account.tables["coupons"].values()
    current = [coupons.current(call.account, row) for row in rows]
    return lists.page(current, call.params, url=_COUPONS)


def _no_coupon(call: Call) -> Json:
    return coupons.delete(call.account, call.object_id, request=call.request)


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


ROUTES = (
    Route(
        "create_coupon", "POST", _COUPONS, types.CouponCreateParams, new(coupons.create)
    ),
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
        new(promotion_codes.create),
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
        many("shipping_rates", _RATES),
    ),
    Route(
        "retrieve_shipping_rate",
        "GET",
        f"{_RATES}/<object_id>",
        types.ShippingRateRetrieveParams,
        one("shipping_rates"),
    ),
)
