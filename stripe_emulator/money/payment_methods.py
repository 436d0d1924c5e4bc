"""Test cards and bank accounts, for clients without a browser."""

from typing import NamedTuple

import stripe

from stripe_emulator.money import charges
from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.checks import check_email, check_known, demand
from stripe_emulator.validation.errors import (
    ApiError,
    missing,
    missing_param,
    not_emulated,
)
from stripe_emulator.validation.stripe_types import blank

_KNOWN = frozenset(
    {"billing_details", "card", "expand", "metadata", "sepa_debit", "type"}
)
_BILLING = frozenset({"address", "email", "name", "phone"})
_AT_ONCE, _DELAYED = 2, 180


class Instrument(NamedTuple):
    """Behind a payment method: how it is shown, and what its bank does."""

    shown: Json
    declines: str | None = None
    settles: str | None = None  # by itself; None: only when told to
    after_seconds: int = 0


def _card(brand: str, last4: str, declines: str | None = None) -> Instrument:
    return Instrument({"brand": brand, "last4": last4}, declines)


# By the suffix of `tok_…` and `pm_card_…`.
_CARDS = {
    "visa": _card("visa", "4242"),
    "mastercard": _card("mastercard", "4444"),
    "visa_chargeDeclined": _card("visa", "0002", "generic_decline"),
    "visa_chargeDeclinedInsufficientFunds": _card("visa", "9995", "insufficient_funds"),
    "chargeDeclined": _card("visa", "0002", "generic_decline"),
    "chargeDeclinedInsufficientFunds": _card("visa", "9995", "insufficient_funds"),
}
# Stripe's own test accounts (outcome, seconds). Payments from any other account wait
# until a test settles them.
_ACCOUNTS = {
    "AT611904300234573201": ("succeed", _AT_ONCE),
    "AT321904300235473204": ("succeed", _DELAYED),
    "AT861904300235473202": ("fail", _AT_ONCE),
    "AT051904300235473205": ("fail", _DELAYED),
    "NL39RABO0300065264": ("succeed", _AT_ONCE),
    "NL55RABO0300065267": ("succeed", _DELAYED),
    "NL91ABNA0417164300": ("fail", _AT_ONCE),
    "NL28RABO0300065268": ("fail", _DELAYED),
}


def create(account: Account, params: Json) -> Json:
    check_known(params, _KNOWN)
    demand(params, "type")
    kind, billing = params["type"], params.get("billing_details", {})
    check_known(billing, _BILLING, "billing_details")
    if billing.get("email"):
        check_email(billing["email"], "billing_details[email]")
    if kind not in _INSTRUMENTS:
        raise not_emulated("type")
    demand(params, kind)
    for name in params.keys() & _INSTRUMENTS.keys() - {kind}:
        text = f"You provided parameters for {name}, but the type is {kind}."
        raise ApiError(text, param=name)
    return _made(account, kind, _INSTRUMENTS[kind](params), params)


def _token_card(params: Json) -> Instrument:
    given = params["card"]
    if "number" in given:
        raise ApiError(
            "Sending credit card numbers directly to the Stripe API is generally "
            "unsafe. We suggest you use test tokens that map to the test card you are "
            "using, see https://stripe.com/docs/testing.",
            status=402,
        )
    check_known(given, {"token"}, "card")
    demand(given, "token")
    found = _CARDS.get(given["token"].removeprefix("tok_"))
    if found is None or not given["token"].startswith("tok_"):
        raise missing("token", given["token"], param="card[token]")
    return found


def _bank_account(params: Json) -> Instrument:
    for name in ("name", "email"):
        if not params.get("billing_details", {}).get(name):
            raise missing_param(f"billing_details[{name}]")
    iban = params["sepa_debit"]["iban"].replace(" ", "").upper()
    if not _is_iban(iban):
        text = f"The IBAN you provided is invalid: {iban[:4]}…"
        raise ApiError(text, code="invalid_bank_account_iban", param="sepa_debit[iban]")
    shown = {"bank_code": iban[4:8], "country": iban[:2], "last4": iban[-4:]}
    outcome, seconds = _ACCOUNTS.get(iban, (None, 0))
    return Instrument(shown, settles=outcome, after_seconds=seconds)


_INSTRUMENTS = {"card": _token_card, "sepa_debit": _bank_account}


def _is_iban(text: str) -> bool:
    """Check the digits: an IBAN read as a number is 1 modulo 97."""
    if not (15 <= len(text) <= 34 and text.isascii() and text.isalnum()):
        return False
    return (
        int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1
    )


def _made(account: Account, kind: str, behind: Instrument, params: Json) -> Json:
    method = _payment_method(kind, behind, params, now=account.now())
    account.put("payment_methods", method["id"], method)
    account.put("instruments", method["id"], {**behind._asdict(), "is_used": False})
    return method


def _payment_method(kind: str, behind: Instrument, params: Json, *, now: int) -> Json:
    # The types list every kind of method; an answer has only its own.
    asked = ("allow_redisplay", "customer", "customer_account")
    shape = {name: None for name in blank(stripe.PaymentMethod) if name in asked}
    return shape | {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": _billing_details(params.get("billing_details", {})),
        "created": now,
        "livemode": False,
        "metadata": dict(params.get("metadata") or {}),
        "type": kind,
        kind: _details(kind) | behind.shown,
    }


def _billing_details(given: Json) -> Json:
    shape = blank(stripe.PaymentMethod.BillingDetails)
    address = charges.whole_address(given.get("address") or {})
    return shape | given | {"address": address}


def _details(kind: str) -> Json:
    if kind == "sepa_debit":
        return blank(stripe.PaymentMethod.SepaDebit)
    shape = blank(stripe.PaymentMethod.Card)
    expiry = {"exp_month": 12, "exp_year": 2040}
    return shape | expiry | {"country": "US", "funding": "credit"}


def found(account: Account, method_id: str) -> Json:
    """
    Return the payment method; raise ApiError if it has been used before.

    `pm_card_…` creates a new one of that card each time.
    """
    known = _CARDS.get(method_id.removeprefix("pm_card_"))
    if known is not None and method_id.startswith("pm_card_"):
        return _made(account, "card", known, {})
    method = account.get("payment_methods", method_id, param="payment_method")
    if account.tables["instruments"][method_id]["is_used"]:
        raise ApiError(
            "The provided PaymentMethod was previously used with a PaymentIntent "
            "without Customer attachment, shared with a connected account without "
            "Customer attachment, or was detached from a Customer. It may not be used "
            "again.",
            param="payment_method",
            executed=True,
        )
    return method


def behind(account: Account, method: Json) -> Json:
    """How its bank will behave: see `Instrument`."""
    told: Json = account.tables["instruments"][method["id"]]
    return told


def use_up(account: Account, method: Json) -> None:
    account.put(
        "instruments", method["id"], behind(account, method) | {"is_used": True}
    )


def on_charge(method: Json) -> Json:
    """The fields of a charge about the payment method that paid it."""
    kind = method["type"]
    details = charges.method_details(kind) | {
        name: value for name, value in method[kind].items() if value is not None
    }
    return {
        "payment_method": method["id"],
        "payment_method_details": {"type": kind, kind: details},
    }
