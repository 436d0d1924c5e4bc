"""Coupons: an amount (in cents) or a percentage off, with limits on time and use."""

import stripe

from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.checks import (
    check_amount,
    check_currency,
    check_known,
    check_length,
    check_number,
    demand,
)
from stripe_emulator.validation.errors import ApiError
from stripe_emulator.validation.stripe_types import blank

_NAMES = (
    "amount_off currency duration duration_in_months expand id max_redemptions "
    "metadata name percent_off redeem_by"
)
_KNOWN = frozenset(_NAMES.split())
_LONGEST_NAME, _LONGEST_ID = 40, 200
_LATEST_SECONDS = 5 * 366 * 86_400
MOST_REDEMPTIONS = 999_999_999


def create(account: Account, params: Json, *, request: Json | None = None) -> Json:
    check_known(params, _KNOWN)
    _check_worth(params)
    _check_duration(params)
    _check_limits(params, now=account.now())
    coupon_id = params.get("id") or new_id("x", 8)[2:]
    if coupon_id in account.tables["coupons"]:
        text = f"Coupon already exists: {coupon_id}"
        raise ApiError(text, code="resource_already_exists", param="id")
    coupon = _coupon(coupon_id, params, now=account.now())
    account.put("coupons", coupon_id, coupon)
    account.record_event("coupon.created", coupon, request=request)
    return coupon


def current(account: Account, coupon: Json) -> Json:
    """Return *coupon* after checking whether it has expired or been used up."""
    if coupon["valid"] and why_over(coupon, now=account.now()):
        coupon["valid"] = False
        account.put("coupons", coupon["id"], coupon)
    return coupon


def why_over(coupon: Json, *, now: int) -> str | None:
    if coupon["redeem_by"] is not None and coupon["redeem_by"] <= now:
        return "expired"
    most = coupon["max_redemptions"]
    return "used_up" if most is not None and coupon["times_redeemed"] >= most else None


def delete(account: Account, coupon_id: str, *, request: Json | None = None) -> Json:
    """Delete the coupon; discounts that were given before stay."""
    coupon = account.get("coupons", coupon_id)
    account.drop("coupons", coupon_id)
    for code in account.tables["promotion_codes"].values():
        if code["promotion"]["coupon"] == coupon_id and code["active"]:
            code["active"] = False
            account.put("promotion_codes", code["id"], code)
    account.record_event("coupon.deleted", coupon | {"valid": False}, request=request)
    return {"id": coupon_id, "object": "coupon", "deleted": True}


def _coupon(coupon_id: str, params: Json, *, now: int) -> Json:
    shape = blank(stripe.Coupon)
    for name in ("applies_to", "currency_options"):  # not unless asked for
        del shape[name]
    currency = params.get("currency")
    return shape | {
        "id": coupon_id,
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": now,
        "currency": currency and currency.lower(),
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": dict(params.get("metadata") or {}),
        "name": params.get("name"),
        "percent_off": params.get("percent_off"),
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }


def _check_worth(params: Json) -> None:
    given = [name for name in ("amount_off", "percent_off") if name in params]
    if len(given) != 1:
        text = "A coupon has exactly one of `percent_off` and `amount_off`."
        code = None if given else "parameter_missing"
        raise ApiError(text, code=code, param="percent_off")
    if "amount_off" in params:
        demand(params, "currency")
        check_amount(params["amount_off"], "amount_off")
    elif not 0 < params["percent_off"] <= 100:
        text = "Invalid percent_off: must be greater than 0 and at most 100."
        raise ApiError(text, param="percent_off")
    if "currency" in params:
        check_currency(params["currency"], "currency")


def _check_duration(params: Json) -> None:
    repeats = params.get("duration", "once") == "repeating"
    if repeats:
        demand(params, "duration_in_months")
    elif "duration_in_months" in params:
        text = "`duration_in_months` goes with the duration `repeating` only."
        raise ApiError(text, param="duration_in_months")


def _check_limits(params: Json, *, now: int) -> None:
    check_length(params.get("name", ""), _LONGEST_NAME, "name")
    check_length(params.get("id", ""), _LONGEST_ID, "id")
    if "max_redemptions" in params:
        check_number(params["max_redemptions"], 1, MOST_REDEMPTIONS, "max_redemptions")
    if "duration_in_months" in params:
        check_number(params["duration_in_months"], 1, 1200, "duration_in_months")
    if "redeem_by" in params:
        end = params["redeem_by"]
        check_number(end, now + 1, now + _LATEST_SECONDS, "redeem_by")
