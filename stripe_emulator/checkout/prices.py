"""Prices, and the lines of a session that are made from them."""

from decimal import Decimal

import stripe

from stripe_emulator.state.account import Json, new_id
from stripe_emulator.validation.stripe_types import blank

_HALF = Decimal("0.5")


def line_item(line: Json, *, now: int) -> Json:
    given: Json = line["price_data"]
    quantity = line.get("quantity", 1)
    amount = _line_amount(given, quantity)
    name = given["product_data"]["name"]
    return blank(stripe.LineItem) | {
        "id": new_id("li"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": given["currency"].lower(),
        "description": name,
        "discounts": [],
        "metadata": dict(line.get("metadata") or {}),
        "price": price(given, now=now),
        "quantity": quantity,
        "taxes": [],
    }


def _line_amount(price_data: Json, quantity: int) -> int:
    """The amount in cents; fractions of a cent are rounded once per line, half up."""
    if "unit_amount" in price_data:
        return int(price_data["unit_amount"]) * quantity
    return int(price_data["unit_amount_decimal"] * quantity + _HALF)


def price(given: Json, *, now: int) -> Json:
    amount = given.get("unit_amount")
    decimal = given.get("unit_amount_decimal", amount)
    shape = blank(stripe.Price)
    for name in ("currency_options", "tiers"):
        del shape[name]
    return shape | {
        "id": new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": now,
        "currency": given["currency"].lower(),
        "livemode": False,
        "metadata": {},
        "product": new_id("prod", 14),
        "tax_behavior": given.get("tax_behavior", "unspecified"),
        "type": "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(decimal),
    }
