"""Promotion codes, which customers type to get the discount of a coupon."""

import re
import secrets
import string
from typing import Any

import stripe

from stripe_emulator.checkout import coupons
from stripe_emulator.checkout.coupons import MOST_REDEMPTIONS
from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.checks import (
    check_amount,
    check_currency,
    check_known,
    check_number,
    merged_metadata,
)
from stripe_emulator.validation.errors import ApiError, not_emulated
from stripe_emulator.validation.stripe_types import blank

_NAMES = "active code expand expires_at max_redemptions metadata promotion restrictions"
_KNOWN = frozenset(_NAMES.split())
_RESTRICTIONS = frozenset({"minimum_amount", "minimum_amount_currency"})
_CODE = re.compile(r"[A-Za-z0-9-]{1,500}")
_LETTERS = string.ascii_uppercase + string.digits


def create(account: Account, params: Json, *, request: Json | None = None) -> Json:
    _check_known(params)
    coupon_id = params["promotion"].get("coupon", "")
    coupon = account.get("coupons", coupon_id, param="promotion[coupon]")
    _check_restrictions(params)
    _check_limits(params, coupons.current(account, coupon), now=account.now())
    code = params.get("code") or "".join(secrets.choice(_LETTERS) for _ in range(8))
    _check_code(account, code)
    promotion_code = _promotion_code(code, params, now=account.now())
    account.put("promotion_codes", promotion_code["id"], promotion_code)
    account.record_event("promotion_code.created", promotion_code, request=request)
    return promotion_code


def update(
    account: Account, found: Json, params: Json, *, request: Json | None = None
) -> Json:
    check_known(params, {"active", "metadata", "expand"})
    current(account, found)
    if params.get("active") and not found["active"]:
        if reason := why_over(account, found):
            raise ApiError(
                f"This promotion code cannot be activated: it is {reason}.",
                param="active",
            )
        _check_code(account, found["code"])
    found["active"] = params.get("active", found["active"])
    if "metadata" in params:
        found["metadata"] = merged_metadata(found["metadata"], params["metadata"])
    account.put("promotion_codes", found["id"], found)
    account.record_event("promotion_code.updated", found, request=request)
    return found


def current(account: Account, found: Json) -> Json:
    """Return the code; like Stripe, deactivate it once its time or uses are over."""
    if found["active"] and why_over(account, found):
        found["active"] = False
        account.put("promotion_codes", found["id"], found)
    return found


def why_over(account: Account, found: Json) -> str | None:
    """Why no one can use the code any more, or None; ignores `active`."""
    coupon = account.tables["coupons"].get(found["promotion"]["coupon"])
    if coupon is None:
        return "invalid"
    if found["expires_at"] is not None and found["expires_at"] <= account.now():
        return "expired"
    most = found["max_redemptions"]
    if most is not None and found["times_redeemed"] >= most:
        return "used_up"
    return coupons.why_over(coupon, now=account.now())


def by_code(account: Account, code: str) -> Json | None:
    """The active code with these letters in any case, else the latest inactive one."""
    rows = account.tables["promotion_codes"].values()
    same = [row for row in rows if row["code"].lower() == code.lower()]
    return next((row for row in same if current(account, row)["active"]), None) or (
        same[-1] if same else None
    )


def _promotion_code(code: str, params: Json, *, now: int) -> Json:
    restrictions: dict[str, Any] = params.get("restrictions", {})
    currency = restrictions.get("minimum_amount_currency")
    return blank(stripe.PromotionCode) | {
        "id": new_id("promo"),
        "object": "promotion_code",
        "active": params.get("active", True),
        "code": code,
        "created": now,
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": dict(params.get("metadata") or {}),
        "promotion": {"coupon": params["promotion"]["coupon"], "type": "coupon"},
        "restrictions": {
            "first_time_transaction": False,
            "minimum_amount": restrictions.get("minimum_amount"),
            "minimum_amount_currency": currency and currency.lower(),
        },
        "times_redeemed": 0,
    }


def _check_known(params: Json) -> None:
    check_known(params, _KNOWN)
    for name, value in params.get("restrictions", {}).items():
        if name not in _RESTRICTIONS and value is not False:
            raise not_emulated(f"restrictions[{name}]")


def _check_code(account: Account, code: str) -> None:
    if not _CODE.fullmatch(code):
        text = "A promotion code consists of letters, digits and dashes."
        raise ApiError(text, param="code")
    earlier = by_code(account, code)
    if earlier and earlier["active"]:
        text = f"An active promotion code with `code: {code}` already exists."
        raise ApiError(text, code="resource_already_exists", param="code")


def _check_restrictions(params: Json) -> None:
    given = params.get("restrictions", {})
    if ("minimum_amount" in given) != ("minimum_amount_currency" in given):
        text = "A minimum amount goes with its currency."
        raise ApiError(text, param="restrictions[minimum_amount_currency]")
    if "minimum_amount" in given:
        at = "restrictions[minimum_amount]"
        check_amount(given["minimum_amount"], at)
        check_currency(given["minimum_amount_currency"], f"{at[:-1]}_currency]")


def _check_limits(params: Json, coupon: Json, *, now: int) -> None:
    if not coupon["valid"]:
        text = f"This coupon cannot be used any more: {coupon['id']}"
        raise ApiError(text, param="promotion[coupon]")
    if "max_redemptions" in params:
        most = coupon["max_redemptions"] or MOST_REDEMPTIONS
        check_number(params["max_redemptions"], 1, most, "max_redemptions")
    if "expires_at" in params:
        latest = coupon["redeem_by"] or 99_999_999_999
        check_number(params["expires_at"], now + 1, latest, "expires_at")
