"""Payment intents and their charges: created, paid or declined. Amounts in cents."""

import stripe

from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.stripe_types import blank

DECLINED = "generic_decline"
_CHARGE_ABSENT = ("authorization_code", "level3", "refunds", "presentment_details")
_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def charge_intent(
    account: Account, intent: Json, method: str, billing: Json, paid_with: Json
) -> Json:
    """Return a new charge; *paid_with* has its fields about the payment method."""
    charge = _charge(intent, method, billing, now=account.now()) | paid_with
    intent["latest_charge"] = charge["id"]
    intent["payment_method"] = charge["payment_method"]
    account.put("payment_intents", intent["id"], intent)
    account.put("charges", charge["id"], charge)
    return charge


def take_money(account: Account, intent: Json, charge: Json) -> None:
    amount = charge["amount"]
    charge |= {"status": "succeeded", "paid": True, "captured": True}
    charge |= {"amount_captured": amount, "balance_transaction": new_id("txn")}
    charge["outcome"] = _outcome("authorized", "Payment complete.")
    intent |= {"status": "succeeded", "amount_received": amount}
    intent["last_payment_error"] = None
    account.put("charges", charge["id"], charge)
    account.put("payment_intents", intent["id"], intent)
    account.record_event("charge.succeeded", charge)
    account.record_event("payment_intent.succeeded", intent)


def refuse_money(
    account: Account, intent: Json, charge: Json, code: str = DECLINED
) -> None:
    text = "Your payment was declined."
    charge |= {"status": "failed", "failure_code": "card_declined"}
    charge["failure_message"] = text
    charge["outcome"] = _outcome("issuer_declined", text)
    intent |= {"status": "requires_payment_method", "payment_method": None}
    intent["last_payment_error"] = {
        "charge": charge["id"],
        "code": "card_declined",
        "decline_code": code,
        "message": text,
        "type": "card_error",
    }
    account.put("charges", charge["id"], charge)
    account.put("payment_intents", intent["id"], intent)
    account.record_event("charge.failed", charge)
    account.record_event("payment_intent.payment_failed", intent)


def _outcome(kind: str, message: str) -> Json:
    network = "approved_by_network" if kind == "authorized" else "declined_by_network"
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": network,
        "reason": None,
        "risk_level": "normal",
        "risk_score": 1,
        "seller_message": message,
        "type": kind,
    }


def payment_intent(session: Json, data: Json, *, now: int) -> Json:
    """Return a new payment intent; *data* is the request's `payment_intent_data`."""
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


def _charge(intent: Json, method: str, billing: Json, *, now: int) -> Json:
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
