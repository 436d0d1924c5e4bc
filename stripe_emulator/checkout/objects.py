"""The objects of the API in their complete shape, as the package's types tell it."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import stripe

from stripe_emulator.state.account import Json, new_id
from stripe_emulator.validation.stripe_types import blank

METHODS = ("card", "ideal", "sepa_debit")
DELAYED = ("sepa_debit",)
_HALF = Decimal("0.5")

# Stripe leaves these out unless they are asked for or in use; on an answer of the
# package a field that is absent raises AttributeError.
_SESSION_ABSENT = (
    "branding_settings",
    "excluded_payment_method_types",
    "allowed_payment_method_types",
    "integration_identifier",
    "line_items",
    "managed_payments",
    "name_collection",
    "optional_items",
    "payment_method_configuration_details",
    "presentment_details",
    "redirect_on_completion",
    "return_url",
    "tax_id_collection",
)
_CHARGE_ABSENT = ("authorization_code", "level3", "refunds", "presentment_details")
_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def session(params: Json, lines: list[Json], *, now: int, expires_at: int) -> Json:
    total = sum(line["amount_total"] for line in lines)
    shape = blank(stripe.checkout.Session)
    for name in _SESSION_ABSENT:
        del shape[name]
    session_id = new_id("cs_test", 58)
    return (
        shape
        | _echoed(params)
        | {
            "id": session_id,
            "object": "checkout.session",
            "amount_subtotal": total,
            "amount_total": total,
            "created": now,
            "currency": lines[0]["currency"],
            "expires_at": expires_at,
            "livemode": False,
            "mode": "payment",
            "payment_method_types": offered_methods(params),
            "payment_status": "no_payment_required" if total == 0 else "unpaid",
            "status": "open",
            "discounts": [],
            "total_details": {
                "amount_discount": 0,
                "amount_shipping": 0,
                "amount_tax": 0,
            },
        }
    )


def _echoed(params: Json) -> Json:
    """What an answer repeats of the request, with Stripe's defaults."""
    switched = {"enabled": False}
    texts: Json = params.get("custom_text", {})
    return {
        "adaptive_pricing": params.get("adaptive_pricing", {"enabled": True}),
        "automatic_tax": {
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "consent_collection": _consent_collection(params),
        "custom_fields": [],
        "custom_text": {
            name: texts.get(name) or None
            for name in stripe.checkout.Session.CustomText.__annotations__
            if not name.startswith("_")
        },
        "customer_creation": params.get("customer_creation", "if_required"),
        "metadata": dict(params.get("metadata") or {}),
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "phone_number_collection": params.get("phone_number_collection", switched),
        "shipping_options": [],
        "ui_mode": "hosted_page",
    } | {name: params[name] for name in _REPEATED if name in params}


_REPEATED = (
    "allow_promotion_codes",
    "allowed_payment_method_types",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "customer_email",
    "excluded_payment_method_types",
    "locale",
    "origin_context",
    "shipping_address_collection",
    "submit_type",
    "success_url",
)


def _consent_collection(params: Json) -> Json | None:
    asked: Json | None = params.get("consent_collection")
    if asked is None:
        return None
    shape = blank(stripe.checkout.Session.ConsentCollection)
    return shape | {"promotions": "none", "terms_of_service": "none"} | asked


def offered_methods(params: Json) -> list[str]:
    wanted = params.get("payment_method_types") or params.get(
        "allowed_payment_method_types", METHODS
    )
    refused = params.get("excluded_payment_method_types") or ()
    return [name for name in METHODS if name in wanted and name not in refused]


def line_item(line: Json, *, now: int) -> Json:
    given: Json = line["price_data"]
    quantity = line.get("quantity", 1)
    amount = line_amount(given, quantity)
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


def line_amount(price_data: Json, quantity: int) -> int:
    """Fractions of a cent are rounded once a line, half up."""
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


def payment_intent(session: Json, data: Json, *, now: int) -> Json:
    """*data* is the request's `payment_intent_data`: nothing else is copied."""
    intent_id = new_id("pi")
    shape = blank(stripe.PaymentIntent)
    for name in ("allowed_payment_method_types", "excluded_payment_method_types"):
        del shape[name]
    return shape | {
        "id": intent_id,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{new_id('x', 25)[2:]}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": session["currency"],
        "description": data.get("description"),
        "livemode": False,
        "metadata": dict(data.get("metadata") or {}),
        "payment_method_types": list(session["payment_method_types"]),
        "receipt_email": data.get("receipt_email"),
        "setup_future_usage": data.get("setup_future_usage"),
        "shipping": _shipping(data.get("shipping")),
        "status": "requires_payment_method",
    }


def _shipping(given: Json | None) -> Json | None:
    if given is None:
        return None
    address = whole_address(given["address"])
    return blank(stripe.PaymentIntent.Shipping) | given | {"address": address}


def charge(intent: Json, method: str, billing: Json, *, now: int) -> Json:
    shape = blank(stripe.Charge)
    for name in _CHARGE_ABSENT:
        del shape[name]
    return shape | {
        "id": new_id("ch" if method == "card" else "py"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": _billing(billing),
        "captured": False,
        "created": now,
        "currency": intent["currency"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": new_id("pm"),
        "payment_method_details": {"type": method, method: method_details(method)},
        "receipt_email": intent["receipt_email"],
        "refunded": False,
        "shipping": intent["shipping"],
        "status": "pending",
    }


def _billing(given: Json) -> Json:
    address = whole_address(given.get("address"))
    return blank(stripe.Charge.BillingDetails) | given | {"address": address}


def whole_address(given: Json | None) -> Json:
    return dict.fromkeys(_ADDRESS) | (given or {})


def method_details(method: str) -> Json:
    if method == "ideal":
        return {"bank": "ing", "bic": "INGBNL2A", "iban_last4": "0000"} | {
            "transaction_id": new_id("tr", 12),
            "verified_name": "Test",
        }
    if method == "sepa_debit":
        return {"country": "NL", "last4": "0000", "bank_code": "INGB"}
    card: Json = {"brand": "visa", "country": "NL", "funding": "credit"}
    return card | {"exp_month": 12, "exp_year": 2040, "last4": "4242"}


def refund(charge: Json, amount: int, params: Json, *, now: int) -> Json:
    method = charge["payment_method_details"]["type"]
    shape = blank(stripe.Refund)
    for name in ("failure_balance_transaction", "failure_reason", "next_action"):
        del shape[name]
    for name in ("instructions_email", "presentment_details", "description"):
        del shape[name]
    return shape | {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "destination_details": {"type": method, method: _destination(method)},
        "metadata": dict(params.get("metadata") or {}),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "status": "succeeded",
    }


def _destination(method: str) -> Json:
    return {"type": "refund"} if method == "card" else {}


def page(rows: list[Any], *, url: str, has_more: bool = False) -> Json:
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}


def hosted_url(base_url: str, session_id: str) -> str:
    return f"{base_url}/c/pay/{quote(session_id)}"
