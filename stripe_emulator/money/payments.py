"""What happens to the money: paid, declined, settled late."""

from typing import Literal

from stripe_emulator.checkout import discounts, objects, payers, sessions
from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.errors import ApiError

Outcome = Literal["succeed", "fail"]
DECLINED = "generic_decline"


class SessionClosedError(Exception):
    """The session cannot be paid: it was paid before, or its time is over."""


class AmountChangedError(ApiError):
    """Something else is to be paid than the customer has seen."""

    def __init__(self) -> None:
        super().__init__("The total of the session has changed meanwhile.")


def pay(
    account: Account,
    session_id: str,
    method: str,
    payer: Json,
    *,
    expected: int | None = None,
) -> Json:
    """
    Complete the session and return its `checkout.session.completed` event.

    *expected* is the total that the customer has agreed to; None takes any.
    """
    session = open_session(account, session_id)
    payers.check(session, payer)
    if expected not in (None, session["amount_total"]):
        raise AmountChangedError
    discounts.redeem(account, session)
    if session["payment_status"] != "no_payment_required":
        intent, charge = _charge(account, session, method, payer)
        if method in objects.DELAYED:
            _await_bank(account, intent, charge)
        else:
            take_money(account, intent, charge)
            session["payment_status"] = "paid"
    else:
        sessions.cancel_intent(account, session)
        session["payment_intent"] = None
    session |= {"status": "complete", "url": None}
    session |= payers.collected(session, payer)
    account.put("sessions", session["id"], session)
    return account.record_event("checkout.session.completed", session)


def decline(
    account: Account,
    session_id: str,
    method: str,
    payer: Json,
    *,
    code: str = DECLINED,
) -> Json:
    """The bank says no: the session stays open and can be paid once more."""
    session = open_session(account, session_id)
    if session["payment_status"] == "no_payment_required":
        raise ApiError("Nothing is to be paid, so nothing can be declined.")
    payers.check(session, payer)
    intent, charge = _charge(account, session, method, payer)
    refuse_money(account, intent, charge, code)
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
        take_money(account, intent, charge)
        session["payment_status"] = "paid"
        account.put("sessions", session["id"], session)
        return account.record_event("checkout.session.async_payment_succeeded", session)
    refuse_money(account, intent, charge)
    return account.record_event("checkout.session.async_payment_failed", session)


def open_session(account: Account, session_id: str) -> Json:
    sessions.end_due(account)
    session = account.get("sessions", session_id)
    if session["status"] != "open":
        raise SessionClosedError(session["status"])
    return session


def _intent(account: Account, session: Json) -> Json:
    if session["payment_intent"] is not None:
        intent = account.get("payment_intents", session["payment_intent"])
        intent["amount"] = session["amount_total"]  # a choice may have changed it
        return intent
    data = account.tables["contents"][session["id"]]["payment_intent_data"]
    intent = objects.payment_intent(session, data, now=account.now())
    session["payment_intent"] = intent["id"]
    account.put("payment_intents", intent["id"], intent)
    return intent


def _charge(
    account: Account, session: Json, method: str, payer: Json
) -> tuple[Json, Json]:
    """The payment intent, made or found again, and a new charge for it."""
    intent = _intent(account, session)
    intent["shipping"] = payers.shipping(session, payer) or intent["shipping"]
    billing = payers.billing(session, payer)
    paid_with = payer.get("paid_with", {})
    return intent, charge_intent(account, intent, method, billing, paid_with)


def charge_intent(
    account: Account, intent: Json, method: str, billing: Json, paid_with: Json
) -> Json:
    """A new charge; *paid_with* is what it tells of a payment method, if of any."""
    charge = objects.charge(intent, method, billing, now=account.now()) | paid_with
    intent["latest_charge"] = charge["id"]
    intent["payment_method"] = charge["payment_method"]
    account.put("payment_intents", intent["id"], intent)
    account.put("charges", charge["id"], charge)
    return charge


def _await_bank(account: Account, intent: Json, charge: Json) -> None:
    intent["status"] = "processing"
    account.put("payment_intents", intent["id"], intent)
    account.record_event("charge.pending", charge)
    account.record_event("payment_intent.processing", intent)


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
