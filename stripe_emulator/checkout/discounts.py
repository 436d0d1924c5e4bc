"""A coupon or a promotion code on a session: given, typed in, removed, redeemed."""

from stripe_emulator.checkout import coupons, promotion_codes, totals
from stripe_emulator.state.account import Account, Json
from stripe_emulator.validation.errors import ApiError

_TEXTS = {
    "unknown": "This promotion code is invalid.",
    "invalid": "This promotion code is invalid.",
    "expired": "This promotion code has expired.",
    "used_up": "This promotion code has been used up.",
    "minimum": "This promotion code asks for a larger order.",
    "currency": "This promotion code is for another currency.",
    "not_asked": "Promotion codes cannot be used for this session.",
}


class RefusedCodeError(ApiError):
    """*reason* is one of `_TEXTS`; the page has its own words for it."""

    def __init__(self, reason: str, *, param: str | None = None) -> None:
        super().__init__(_TEXTS[reason], param=param)
        self.reason = reason


def attach(account: Account, session: Json, wanted: list[Json]) -> None:
    """
    Put the discount that a create asks for on a new session.

    `session_checks` has checked its form; raises RefusedCodeError if it cannot be used.
    """
    if not wanted:
        return
    at = "discounts[0][coupon]"
    if "promotion_code" in wanted[0]:
        at = "discounts[0][promotion_code]"
        code = account.get("promotion_codes", wanted[0]["promotion_code"], param=at)
        _put(account, session, _usable(account, session, code, at), code)
    else:
        coupon = account.get("coupons", wanted[0]["coupon"], param=at)
        _check_coupon(account, session, coupon, at)
        _put(account, session, coupon, None)
    account.tables["contents"][session["id"]]["discount_is_given"] = True


def apply(account: Account, session: Json, letters: str) -> None:
    """
    Use the code that a customer has typed, in place of any earlier one.

    Raises RefusedCodeError if it cannot be used.
    """
    if not session["allow_promotion_codes"]:
        raise RefusedCodeError("not_asked")
    code = promotion_codes.by_code(account, letters.strip())
    if code is None:
        raise RefusedCodeError("unknown")
    _put(account, session, _usable(account, session, code, None), code)
    totals.settle(account, session)


def remove(account: Account, session: Json) -> None:
    """Remove the code that the customer typed; a discount from the shop stays."""
    contents = account.tables["contents"][session["id"]]
    if contents.get("discount_is_given") or not session["discounts"]:
        return
    contents["coupon"] = None
    session["discounts"] = []
    totals.settle(account, session)


def redeem(account: Account, session: Json) -> None:
    """
    Count the use when the session completes.

    Raises RefusedCodeError, and removes the discount, if others have used it up.
    """
    for discount in session["discounts"] or ():
        coupon = _coupon(account, session)
        code = account.tables["promotion_codes"].get(discount["promotion_code"])
        try:
            _check_coupon(account, session, coupon, None)
            if code is not None:
                _usable(account, session, code, None)
        except RefusedCodeError:
            remove(account, session)
            raise
        _count(account, coupon, code)


def code_of(account: Account, session: Json) -> str | None:
    """The discount as the page names it: the code, or else the coupon's name or id."""
    for discount in session["discounts"] or ():
        code = account.tables["promotion_codes"].get(discount["promotion_code"])
        if code is not None:
            return str(code["code"])
        coupon = _coupon(account, session) or {"name": None, "id": ""}
        return str(coupon["name"] or coupon["id"])
    return None


def breakdown(account: Account, session: Json) -> Json:
    """`total_details.breakdown`, part of an answer only when expanded."""
    amount = session["total_details"]["amount_discount"]
    rows = [
        {"amount": amount, "discount": _described(account, session, discount)}
        for discount in session["discounts"] or ()
    ]
    return {"discounts": rows, "taxes": []}


def _described(account: Account, session: Json, discount: Json) -> Json:
    coupon_id = account.tables["contents"][session["id"]]["coupon"]
    return {
        "id": f"di_{session['id'][-24:]}",
        "object": "discount",
        "checkout_session": session["id"],
        "customer": None,
        "customer_account": None,
        "end": None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": discount["promotion_code"],
        "source": {"coupon": coupon_id, "type": "coupon"},
        "start": session["created"],
        "subscription": None,
        "subscription_item": None,
    }


def _coupon(account: Account, session: Json) -> Json | None:
    coupon_id = account.tables["contents"][session["id"]].get("coupon")
    return account.tables["coupons"].get(coupon_id)


def _usable(account: Account, session: Json, code: Json, param: str | None) -> Json:
    """Return the coupon behind *code*, or raise RefusedCodeError."""
    promotion_codes.current(account, code)
    if reason := promotion_codes.why_over(account, code):
        raise RefusedCodeError(reason, param=param)
    if not code["active"]:
        raise RefusedCodeError("invalid", param=param)
    least = code["restrictions"]["minimum_amount"]
    if least is not None:
        if code["restrictions"]["minimum_amount_currency"] != session["currency"]:
            raise RefusedCodeError("currency", param=param)
        if session["amount_subtotal"] < least:
            raise RefusedCodeError("minimum", param=param)
    coupon = account.get("coupons", code["promotion"]["coupon"])
    _check_coupon(account, session, coupon, param)
    return coupon


def _check_coupon(
    account: Account, session: Json, coupon: Json | None, param: str | None
) -> None:
    if coupon is None:
        raise RefusedCodeError("invalid", param=param)
    if reason := coupons.why_over(coupons.current(account, coupon), now=account.now()):
        raise RefusedCodeError(reason, param=param)
    if coupon["currency"] not in (None, session["currency"]):
        raise RefusedCodeError("currency", param=param)


def _put(account: Account, session: Json, coupon: Json, code: Json | None) -> None:
    contents = account.tables["contents"][session["id"]]
    contents["coupon"] = coupon["id"]
    named = {"coupon": coupon["id"], "promotion_code": None}
    if code is not None:
        named = {"coupon": None, "promotion_code": code["id"]}
    session["discounts"] = [named]


def _count(account: Account, coupon: Json | None, code: Json | None) -> None:
    if coupon is not None:
        coupon["times_redeemed"] += 1
        account.put("coupons", coupon["id"], coupons.current(account, coupon))
    if code is not None:
        code["times_redeemed"] += 1
        current = promotion_codes.current(account, code)
        account.put("promotion_codes", code["id"], current)
