"""Shipping rates, and which of them a customer may choose on a session."""

from typing import Any

import stripe

from stripe_emulator.checkout import totals
from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.checks import (
    check_amount,
    check_currency,
    check_known,
    check_length,
    check_metadata,
    check_number,
    demand,
    demand_one,
    within,
)
from stripe_emulator.validation.errors import ApiError, not_emulated
from stripe_emulator.validation.stripe_types import blank

_MOST_OPTIONS = 5
_NAMES = "delivery_estimate display_name expand fixed_amount metadata tax_behavior type"
_KNOWN = frozenset(_NAMES.split())
_LONGEST_NAME = 100
_MOST_UNITS = 10_000


def create(account: Account, params: Json) -> Json:
    _check_rate(params, "")
    rate = blank(stripe.ShippingRate) | {
        "id": new_id("shr"),
        "object": "shipping_rate",
        "active": True,
        "created": account.now(),
        "delivery_estimate": _estimate(params),
        "display_name": params["display_name"],
        "fixed_amount": {
            "amount": params["fixed_amount"]["amount"],
            "currency": params["fixed_amount"]["currency"].lower(),
        },
        "livemode": False,
        "metadata": dict(params.get("metadata") or {}),
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "type": "fixed_amount",
    }
    account.put("shipping_rates", rate["id"], rate)
    return rate


def check_options(options: list[Json]) -> None:
    if len(options) > _MOST_OPTIONS:
        text = f"Array shipping_options exceeded maximum {_MOST_OPTIONS} elements."
        raise ApiError(text, code="array_too_large", param="shipping_options")
    for index, option in enumerate(options):
        at = f"shipping_options[{index}]"
        demand_one(option, ("shipping_rate", "shipping_rate_data"), at)
        if "shipping_rate_data" in option:
            _check_rate(option["shipping_rate_data"], f"{at}[shipping_rate_data]")


def _check_rate(data: Json, at: str) -> None:
    check_known(data, _KNOWN, at)
    name = within(at, "display_name")
    check_length(data["display_name"], _LONGEST_NAME, name)
    check_metadata(data.get("metadata"), within(at, "metadata"))
    demand(data, "fixed_amount", at=at)
    amount, where = data["fixed_amount"], within(at, "fixed_amount")
    if "currency_options" in amount:
        raise not_emulated(f"{where}[currency_options]")
    check_amount(amount["amount"], f"{where}[amount]", least=0)
    check_currency(amount["currency"], f"{where}[currency]")
    for bound, length in data.get("delivery_estimate", {}).items():
        at_bound = f"{within(at, 'delivery_estimate')}[{bound}][value]"
        check_number(length["value"], 1, _MOST_UNITS, at_bound)


def attach(account: Account, session: Json, options: list[Json]) -> None:
    """Put the options on a new session and choose the first."""
    for index, option in enumerate(options):
        at = f"shipping_options[{index}]"
        if _currency(account, option, at) != session["currency"]:
            text = "Shipping must be in the currency of the line items."
            raise ApiError(text, param=at)
    rates = [_rate(account, option) for option in options]
    session["shipping_options"] = [
        {"shipping_amount": rate["fixed_amount"]["amount"], "shipping_rate": rate["id"]}
        for rate in rates
    ]
    if rates:
        session["shipping_cost"] = _cost(rates[0])


def choose(account: Account, session: Json, rate_id: str) -> None:
    offered = [option["shipping_rate"] for option in session["shipping_options"]]
    if rate_id not in offered:
        raise ApiError("This way of shipping is not offered.", param="shipping")
    session["shipping_cost"] = _cost(account.get("shipping_rates", rate_id))
    totals.settle(account, session)


def rates_of(account: Account, session: Json) -> list[Json]:
    options = session["shipping_options"]
    return [account.get("shipping_rates", each["shipping_rate"]) for each in options]


def rate_named(account: Account, session: Json, wanted: Any) -> str:
    """The id of the option with this number (from 0), name or id; else ApiError."""
    for index, rate in enumerate(rates_of(account, session)):
        if wanted in (index, rate["display_name"], rate["id"]):
            return str(rate["id"])
    text = f"The session offers no shipping {wanted!r}."
    raise ApiError(text, param="shipping")


def _currency(account: Account, option: Json, at: str) -> str:
    if "shipping_rate_data" in option:
        return str(option["shipping_rate_data"]["fixed_amount"]["currency"]).lower()
    rate_id, at = option["shipping_rate"], f"{at}[shipping_rate]"
    rate = account.get("shipping_rates", rate_id, param=at)
    return str(rate["fixed_amount"]["currency"])


def _rate(account: Account, option: Json) -> Json:
    if "shipping_rate_data" in option:
        return create(account, option["shipping_rate_data"])
    return account.get("shipping_rates", option["shipping_rate"])


def _cost(rate: Json) -> Json:
    amount = rate["fixed_amount"]["amount"]
    sums = {"amount_subtotal": amount, "amount_tax": 0, "amount_total": amount}
    return {**sums, "shipping_rate": rate["id"]}


def _estimate(params: Json) -> Json | None:
    given = params.get("delivery_estimate")
    if given is None:
        return None
    return {bound: given.get(bound) for bound in ("maximum", "minimum")}
