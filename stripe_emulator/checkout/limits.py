"""What Stripe refuses of a create beyond the types: limits, totals, addresses."""

import re
from typing import Any
from urllib.parse import urlsplit

from stripe_emulator.checkout.objects import METHODS, offered_methods
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError, missing, not_emulated
from stripe_emulator.validation.parameters import check_length, check_metadata, demand

SOONEST_SECONDS = 30 * 60
LATEST_SECONDS = 24 * 60 * 60
_MOST_LINES = 100
_LARGEST_TOTAL = 99_999_999
_CURRENCY_CODES = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl "
    "bsd bwp byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur "
    "fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy "
    "kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop "
    "mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg "
    "qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top "
    "try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar "
    "zmw"
)
_CURRENCIES = frozenset(_CURRENCY_CODES.split())

# The rest of what the types know is refused by name, never passed over in silence.
_SESSION_NAMES = (
    "adaptive_pricing allowed_payment_method_types allow_promotion_codes automatic_tax "
    "billing_address_collection cancel_url client_reference_id consent_collection "
    "currency custom_text customer customer_creation customer_email discounts "
    "excluded_payment_method_types expand expires_at invoice_creation line_items "
    "locale metadata mode origin_context payment_intent_data "
    "payment_method_types phone_number_collection shipping_address_collection "
    "shipping_options submit_type success_url tax_id_collection ui_mode"
)
_SESSION = frozenset(_SESSION_NAMES.split())
_ONLY = {
    "mode": "payment",
    "ui_mode": "hosted_page",
    "customer_creation": "if_required",
}
_INTENT_NAMES = "description metadata receipt_email setup_future_usage shipping"
_INTENT = frozenset(_INTENT_NAMES.split())
_LINE = frozenset({"price_data", "quantity", "metadata", "tax_rates"})


def check_create(params: Json, *, now: float) -> None:
    """Refuse what Stripe refuses; nothing is looked at twice."""
    demand(params, "mode", "line_items")
    _check_known(params)
    demand(params, "success_url")
    _check_texts(params)
    if "expires_at" in params:
        _check_end(params["expires_at"], now=now)
    _check_references(params)
    _check_offer(params)
    _check_lines(params["line_items"], params.get("currency"))
    if not offered_methods(params):
        raise ApiError(
            "No valid payment method types for this Checkout Session. The emulator "
            f"offers {', '.join(METHODS)}."
        )


def _check_known(params: Json) -> None:
    for name in params.keys() - _SESSION:
        raise not_emulated(name)
    for name in params.get("payment_intent_data", {}).keys() - _INTENT:
        raise not_emulated(f"payment_intent_data[{name}]")
    _check_switches(params)


def _check_switches(params: Json) -> None:
    for name, only in _ONLY.items():
        if params.get(name, only) != only:
            raise not_emulated(name)
    for name in ("automatic_tax", "invoice_creation", "tax_id_collection"):
        if params.get(name, {}).get("enabled"):
            raise not_emulated(f"{name}[enabled]")
    for name, value in params.get("consent_collection", {}).items():
        if name != "terms_of_service" and value != "none":
            raise not_emulated(f"consent_collection[{name}]")


def _check_texts(params: Json) -> None:
    check_length(params.get("client_reference_id", ""), 200, "client_reference_id")
    for name in ("success_url", "cancel_url"):
        if name in params:
            check_length(params[name], 5000, name)
            _check_url(params[name], name)
    email = params.get("customer_email")
    if email is not None:
        check_email(email, "customer_email")
    data = params.get("payment_intent_data", {})
    check_metadata(data.get("metadata"), "payment_intent_data[metadata]")


def check_email(email: str, param: str) -> None:
    if not re.fullmatch(r"[^@\s]+@[^@\s.]+\.[^@\s]+", email):
        text = f"Invalid email address: {email}"
        raise ApiError(text, code="email_invalid", param=param)


def _check_url(url: str, param: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in url:
        raise ApiError("Not a valid URL", code="url_invalid", param=param)


def _check_end(expires_at: int, *, now: float) -> None:
    # Stripe's own clock counts, with its fractions: 30 minutes sharp comes too late.
    if expires_at < now + SOONEST_SECONDS:
        raise ApiError(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout "
            "Session creation.",
            param="expires_at",
        )
    if expires_at > now + LATEST_SECONDS:
        raise ApiError(
            "The `expires_at` timestamp must be less than 24 hours from Checkout "
            "Session creation.",
            param="expires_at",
        )


def _check_references(params: Json) -> None:
    """Customers cannot be made here, so none exists."""
    if "customer" in params:
        raise missing("customer", params["customer"], param="customer")


def _check_offer(params: Json) -> None:
    # Refused even if the switch is false.
    check_not_both(params, "allow_promotion_codes", "discounts")
    discounts = params.get("discounts", [])
    if len(discounts) > 1:
        text = "Array discounts exceeded maximum 1 allowed elements."
        raise ApiError(text, code="array_too_large", param="discounts")
    for discount in discounts:
        demand_one(discount, ("coupon", "promotion_code"), "discounts[0]")
    wanted = params.get("shipping_address_collection")
    if wanted is not None and not wanted["allowed_countries"]:
        at = "shipping_address_collection[allowed_countries]"
        raise ApiError("Invalid array", param=at)


def check_not_both(params: Json, *names: str) -> None:
    if all(name in params for name in names):
        text = f"You may only specify one of these parameters: {', '.join(names)}."
        raise ApiError(text, param=names[0])


def _check_lines(lines: list[Json], currency: str | None) -> None:
    if not lines:
        raise ApiError("Invalid array", param="line_items")
    if len(lines) > _MOST_LINES:
        text = f"Array line_items exceeded maximum {_MOST_LINES} allowed elements."
        raise ApiError(text, code="array_too_large", param="line_items")
    for index, line in enumerate(lines):
        _check_line(line, f"line_items[{index}]")
    currencies = {line["price_data"]["currency"].lower() for line in lines}
    if currency is not None:
        currencies.add(currency.lower())
    if len(currencies) > 1:
        text = "All line items of a Checkout Session must have the same currency."
        raise ApiError(text, param="line_items")


def _check_line(line: Json, at: str) -> None:
    if "price_data" not in line:
        text = "You must specify one of `price` or `price_data` for each line item."
        raise ApiError(text, code="parameter_missing", param=at)
    for rate in line.get("tax_rates") or ():
        raise missing("tax rate", rate, param=f"{at}[tax_rates][0]")
    for name in line.keys() - _LINE:
        raise not_emulated(f"{at}[{name}]")
    check_metadata(line.get("metadata"), f"{at}[metadata]")
    if "quantity" not in line:
        text = f"Missing required param: {at}[quantity]."
        raise ApiError(text, code="parameter_missing", param=f"{at}[quantity]")
    check_number(line["quantity"], 1, 999_999, f"{at}[quantity]")
    _check_price(line["price_data"], f"{at}[price_data]")


def _check_price(price_data: Json, at: str) -> None:
    check_currency(price_data["currency"], f"{at}[currency]")
    if "recurring" in price_data:
        text = "You must use `subscription` mode with a recurring price."
        raise ApiError(text, param=f"{at}[recurring]")
    demand_one(price_data, ("product_data", "product"), at)
    demand_one(price_data, ("unit_amount", "unit_amount_decimal"), at)
    amount = price_data.get("unit_amount", price_data.get("unit_amount_decimal"))
    check_number(amount, 0, _LARGEST_TOTAL, f"{at}[unit_amount]")
    metadata = price_data["product_data"].get("metadata")
    check_metadata(metadata, f"{at}[product_data][metadata]")


def check_currency(currency: str, param: str) -> None:
    if currency.lower() not in _CURRENCIES:
        raise ApiError(
            f"Invalid currency: {currency}. Stripe currently supports these "
            f"currencies: {', '.join(sorted(_CURRENCIES))}",
            param=param,
        )


def demand_one(given: Json, names: tuple[str, str], at: str) -> None:
    count = sum(name in given for name in names)
    if count == 1:
        return
    both = " and ".join(f"`{at}[{name}]`" for name in names)
    text = f"You must provide exactly one of {both}."
    code = "parameter_missing" if count == 0 else None
    raise ApiError(text, code=code, param=f"{at}[{names[0]}]")


def check_number(number: Any, least: int, most: int, param: str) -> None:
    limit = None
    if number < least:
        limit = f"greater than or equal to {least}"
    elif number > most:
        limit = f"less than or equal to {most}"
    if limit is not None:
        text = f"This value must be {limit}."
        raise ApiError(text, code="parameter_invalid_integer", param=param)


def check_total(total: int) -> None:
    if total > _LARGEST_TOTAL:
        text = "The Checkout Session's total amount due must be no more than 999,999.99"
        raise ApiError(text, code="amount_too_large")
