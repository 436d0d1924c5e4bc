"""Payments without a session, as Stripe's command-line client makes them."""

from stripe_emulator.money import charges, payment_methods
from stripe_emulator.state.account import Account, Json
from stripe_emulator.validation.checks import check_amount, check_currency, check_known
from stripe_emulator.validation.errors import ApiError, CardDeclinedError

_NAMES = (
    "amount confirm currency description expand metadata payment_method "
    "payment_method_types receipt_email"
)
_KNOWN = frozenset(_NAMES.split())


def create(account: Account, params: Json, *, request: Json | None = None) -> Json:
    """Create the intent and, with `confirm`, charge the card at once."""
    _check(params)
    method = None
    if "payment_method" in params:
        method = payment_methods.found(account, params["payment_method"])
        _check_type(method, params["payment_method_types"])
    intent = _intent(params, now=account.now())
    if method is not None:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    account.put("payment_intents", intent["id"], intent)
    account.record_event("payment_intent.created", intent, request=request)
    if params.get("confirm") and method is not None:
        _confirm(account, intent, method)
    return intent


def _check(params: Json) -> None:
    check_known(params, _KNOWN)
    check_amount(params["amount"], "amount")
    check_currency(params["currency"], "currency")
    if params.get("payment_method_types") != ["card"]:
        text = "The emulator makes a payment intent for payment_method_types[]=card."
        raise ApiError(text, param="payment_method_types")
    if params.get("confirm") and "payment_method" not in params:
        raise ApiError(
            "You cannot confirm this PaymentIntent because it's missing a payment "
            "method. You can either update the PaymentIntent with a payment method and "
            "then confirm it again, or confirm it again directly with a payment method "
            "or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )


def _check_type(method: Json, offered: list[str]) -> None:
    if method["type"] not in offered:
        raise ApiError(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this "
            f"PaymentIntent, which takes {', '.join(offered)}.",
            param="payment_method",
        )


def _intent(params: Json, *, now: int) -> Json:
    asked = {
        "amount_total": params["amount"],
        "currency": params["currency"].lower(),
        "payment_method_types": params["payment_method_types"],
    }
    return charges.payment_intent(asked, params, now=now)


def _confirm(account: Account, intent: Json, method: Json) -> None:
    billing = method["billing_details"]
    charge = charges.charge_intent(
        account, intent, "card", billing, payment_methods.on_charge(method)
    )
    code = payment_methods.behind(account, method)["declines"]
    if code is not None:
        charges.refuse_money(account, intent, charge, code)
        raise CardDeclinedError(code)
    payment_methods.use_up(account, method)
    charges.take_money(account, intent, charge)
