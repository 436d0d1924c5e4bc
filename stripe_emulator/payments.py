"""What happens to the money: paid, declined, settled late, refunded, disputed."""

from typing import Literal

from stripe_emulator import objects, sessions
from stripe_emulator.account import Account, Json, new_id
from stripe_emulator.errors import ApiError

Outcome = Literal["succeed", "fail"]


class SessionClosedError(Exception):
    """The session cannot be paid: it was paid before, or its time is over."""


def pay(account: Account, session_id: str, method: str, payer: Json) -> Json:
    """Complete the session and return its `checkout.session.completed` event."""
    session = _open_session(account, session_id)
    if session["payment_status"] != "no_payment_required":
        intent = _intent(account, session)
        charge = _charge(account, intent, method, payer)
        if method in objects.DELAYED:
            _await_bank(account, intent, charge)
        else:
            _take_money(account, intent, charge)
            session["payment_status"] = "paid"
    session |= {"status": "complete", "url": None, **_who_paid(session, payer)}
    account.put("sessions", session["id"], session)
    return account.record_event("checkout.session.completed", session)


def decline(account: Account, session_id: str, method: str, payer: Json) -> Json:
    """The bank says no: the session stays open and can be paid once more."""
    session = _open_session(account, session_id)
    if session["payment_status"] == "no_payment_required":
        raise ApiError("Nothing is to be paid, so nothing can be declined.")
    intent = _intent(account, session)
    charge = _charge(account, intent, method, payer)
    _refuse_money(account, intent, charge)
    account.put("sessions", session["id"], session)
    return session


def settle(account: Account, session_id: str, outcome: Outcome) -> Json:
    """The bank's answer to a delayed payment, once; returns the session's event."""
    session = account.get("sessions", session_id)
    waits = session["status"] == "complete" and session["payment_status"] == "unpaid"
    intent_id = session["payment_intent"]
    intent = account.get("payment_intents", intent_id) if waits else {}
    if intent.get("status") != "processing":
        raise SessionClosedError(session["status"])
    charge = account.get("charges", intent["latest_charge"])
    if outcome == "succeed":
        _take_money(account, intent, charge)
        session["payment_status"] = "paid"
        account.put("sessions", session["id"], session)
        return account.record_event("checkout.session.async_payment_succeeded", session)
    _refuse_money(account, intent, charge)
    return account.record_event("checkout.session.async_payment_failed", session)


def _open_session(account: Account, session_id: str) -> Json:
    sessions.end_due(account)
    session = account.get("sessions", session_id)
    if session["status"] != "open":
        raise SessionClosedError(session["status"])
    return session


def _intent(account: Account, session: Json) -> Json:
    if session["payment_intent"] is not None:
        return account.get("payment_intents", session["payment_intent"])
    data = account.tables["contents"][session["id"]]["payment_intent_data"]
    intent = objects.payment_intent(session, data, now=account.now())
    session["payment_intent"] = intent["id"]
    account.put("payment_intents", intent["id"], intent)
    return intent


def _charge(account: Account, intent: Json, method: str, payer: Json) -> Json:
    charge = objects.charge(intent, method, payer, now=account.now())
    intent["latest_charge"] = charge["id"]
    intent["payment_method"] = charge["payment_method"]
    account.put("charges", charge["id"], charge)
    return charge


def _await_bank(account: Account, intent: Json, charge: Json) -> None:
    intent["status"] = "processing"
    account.put("payment_intents", intent["id"], intent)
    account.record_event("charge.pending", charge)
    account.record_event("payment_intent.processing", intent)


def _take_money(account: Account, intent: Json, charge: Json) -> None:
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


def _refuse_money(account: Account, intent: Json, charge: Json) -> None:
    text = "Your payment was declined."
    charge |= {"status": "failed", "failure_code": "card_declined"}
    charge["failure_message"] = text
    charge["outcome"] = _outcome("issuer_declined", text)
    intent |= {"status": "requires_payment_method", "payment_method": None}
    intent["last_payment_error"] = {
        "charge": charge["id"],
        "code": "card_declined",
        "decline_code": "generic_decline",
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


def _who_paid(session: Json, payer: Json) -> Json:
    address = payer.get("address")
    details = {"address": address, "email": payer.get("email")} | {
        "business_name": None,
        "individual_name": None,
        "name": payer.get("name"),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    shipping = {"address": address, "name": payer.get("name")} if address else None
    collected = {"business_name": None, "individual_name": None}
    return {
        "customer_details": details,
        "collected_information": collected | {"shipping_details": shipping},
    }
