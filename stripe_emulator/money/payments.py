"""Paying a session: paid, declined, or settled later by the bank."""

from typing import Literal

from stripe_emulator.checkout import discounts, payers, sessions
from stripe_emulator.money import charges
from stripe_emulator.state.account import Account, Json
from stripe_emulator.validation.errors import ApiError

Outcome = Literal["succeed", "fail"]
_DELAYED = ("sepa_debit",)


class SessionClosedError(Exception):
    """The session cannot be paid: it is paid already, or expired."""


class AmountChangedError(ApiError):
    """The total is not the one that the customer has seen."""

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

    *expected* is the total in cents that the customer agreed to; None takes any.
    Raises SessionClosedError, AmountChangedError, or ApiError for the payer or code.
    """
    session = open_session(account, session_id)
    payers.check(session, payer)
    if expected not in (None, session["amount_total"]):
        raise AmountChangedError
    discounts.redeem(account, session)
    if session["payment_status"] != "no_payment_required":
        intent, charge = _charge(account, session, method, payer)
        if method in _DELAYED:
            _await_bank(account, intent, charge)
        else:
            charges.take_money(account, intent, charge)
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
    code: str = charges.DECLINED,
) -> Json:
    """Decline a payment; the session stays open and can be paid again."""
    session = open_session(account, session_id)
    if session["payment_status"] == "no_payment_required":
        raise ApiError("Nothing is to be paid, so nothing can be declined.")
    payers.check(session, payer)
    intent, charge = _charge(account, session, method, payer)
    charges.refuse_money(account, intent, charge, code)
    account.put("sessions", session["id"], session)
    return session


def settle(account: Account, session_id: str, outcome: Outcome) -> Json:
    """
    Give the bank's answer to a delayed payment; return the session's event.

    Raises SessionClosedError if there is no payment that waits for an answer.
    """
    session = account.get("sessions", session_id)
    waits = session["status"] == "complete" and session["payment_status"] == "unpaid"
    intent_id = session["payment_intent"]
    intent = account.get("payment_intents", intent_id) if waits else {}
    if intent.get("status") != "processing":
        raise SessionClosedError(session["status"])
    charge = account.get("charges", intent["latest_charge"])
    if outcome == "succeed":
        charges.take_money(account, intent, charge)
        session["payment_status"] = "paid"
        account.put("sessions", session["id"], session)
        return account.record_event("checkout.session.async_payment_succeeded", session)
    charges.refuse_money(account, intent, charge)
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
    intent = charges.payment_intent(session, data, now=account.now())
    session["payment_intent"] = intent["id"]
    account.put("payment_intents", intent["id"], intent)
    return intent


def _charge(
    account: Account, session: Json, method: str, payer: Json
) -> tuple[Json, Json]:
    """Find or create the payment intent and make a new charge for it."""
    intent = _intent(account, session)
    intent["shipping"] = payers.shipping(session, payer) or intent["shipping"]
    billing = payers.billing(session, payer)
    paid_with = payer.get("paid_with", {})
    return intent, charges.charge_intent(account, intent, method, billing, paid_with)


def _await_bank(account: Account, intent: Json, charge: Json) -> None:
    intent["status"] = "processing"
    account.put("payment_intents", intent["id"], intent)
    account.record_event("charge.pending", charge)
    account.record_event("payment_intent.processing", intent)
