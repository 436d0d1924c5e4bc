"""What Stripe refuses in a create beyond wrong types: limits, totals, URLs."""

from urllib.parse import urlsplit

from stripe_emulator.checkout.session_object import METHODS, offered_methods
from stripe_emulator.state.account import Json
from stripe_emulator.validation.checks import (
    LARGEST_AMOUNT,
    check_amount,
    check_currency,
    check_email,
    check_known,
    check_length,
    check_metadata,
    check_not_both,
    check_number,
    demand,
    demand_one,
)
from stripe_emulator.validation.errors import (
    ApiError,
    missing,
    not_emulated,
)

_SOONEST_SECONDS = 30 * 60
LATEST_SECONDS = 24 * 60 * 60
_MOST_LINES = 100

# Any other parameter that Stripe knows is refused by name, never ignored.
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
    """Raise ApiError if Stripe would refuse the create; *now* is in seconds, UTC."""
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
    check_known(params, _SESSION)
    check_known(params.get("payment_intent_data", {}), _INTENT, "payment_intent_data")
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


def _check_url(url: str, param: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in url:
        raise ApiError("Not a valid URL", code="url_invalid", param=param)


def _check_end(expires_at: int, *, now: float) -> None:
    # Stripe's clock counts, to fractions of a second, when the call arrives: exactly
    # 30 minutes after the shop's time is refused.
    if expires_at < now + _SOONEST_SECONDS:
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
    """Refuse any customer: they cannot be created here, so none exists."""
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
    check_known(line, _LINE, at)
    check_metadata(line.get("metadata"), f"{at}[metadata]")
    demand(line, "quantity", at=at)
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
    check_amount(amount, f"{at}[unit_amount]", least=0)
    metadata = price_data["product_data"].get("metadata")
    check_metadata(metadata, f"{at}[product_data][metadata]")


def check_total(total: int) -> None:
    if total > LARGEST_AMOUNT:
        text = "The Checkout Session's total amount due must be no more than 999,999.99"
        raise ApiError(text, code="amount_too_large")
