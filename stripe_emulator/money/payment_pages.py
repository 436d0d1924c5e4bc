"""
The page of a session as a client without a browser sees it: `/v1/payment_pages`.

Stripe does not document these calls and the package has no types for them, but its
command-line client pays with them. They take what that client sends, and no more.
"""

from contextlib import suppress
from typing import NotRequired, TypedDict

from stripe_emulator.checkout import payers
from stripe_emulator.money import payment_methods, payments
from stripe_emulator.state.account import Account, Json
from stripe_emulator.validation.checks import demand
from stripe_emulator.validation.errors import ApiError, CardDeclinedError, missing


class PageParams(TypedDict):
    """No parameters."""


class ConfirmParams(TypedDict):
    expected_amount: int
    payment_method: NotRequired[str]  # unless nothing is due


def retrieve(account: Account, session_id: str) -> Json:
    return _page(_session(account, session_id))


def confirm(account: Account, session_id: str, params: Json) -> Json:
    """Pay the session; a delayed payment settles later. Raises ApiError if declined."""
    session = _session(account, session_id)
    _check_open(account, session)
    _check_can_pay(session)
    expected = params["expected_amount"]
    if expected != session["amount_total"]:
        text = "The amount of this Checkout Session is not the expected_amount."
        raise ApiError(text, code="checkout_amount_mismatch", param="expected_amount")
    if session["payment_status"] == "no_payment_required":
        payer = payers.filled(session, {})
        payments.pay(account, session_id, "card", payer, expected=expected)
        return _page(session) | {"payment_intent": None}
    demand(params, "payment_method")
    method = payment_methods.found(account, params["payment_method"])
    _pay(account, session, method)
    intent = account.get("payment_intents", session["payment_intent"])
    return _page(session) | {"payment_intent": intent}


def settle_due(account: Account) -> None:
    """Settle the delayed payments that are due; the caller holds the mutex."""
    for session_id, due in list(account.tables["settlements"].items()):
        if due["at"] <= account.now():
            account.drop("settlements", session_id)
            # A test may have settled it already.
            with suppress(payments.SessionClosedError):
                payments.settle(account, session_id, due["outcome"])


def _session(account: Account, session_id: str) -> Json:
    found: Json | None = account.tables["sessions"].get(session_id)
    if found is None:
        raise missing("payment_page", session_id)
    return found


def _check_open(account: Account, session: Json) -> None:
    try:
        payments.open_session(account, session["id"])
    except payments.SessionClosedError:
        raise ApiError(
            "This Checkout Session is no longer active.",
            code="checkout_not_active_session",
            executed=True,
        ) from None


def _check_can_pay(session: Json) -> None:
    """Raise ApiError if the session asks for something the client cannot send."""
    for asks, what in (
        (payers.countries(session) is not None, "a delivery address"),
        (payers.asks_terms(session), "consent to the terms"),
    ):
        if asks:
            text = f"The session asks for {what}; the emulator takes it on the page."
            raise ApiError(text)


def _pay(account: Account, session: Json, method: Json) -> None:
    kind, behind = method["type"], payment_methods.behind(account, method)
    if kind not in session["payment_method_types"]:
        raise ApiError(
            f"The payment method type `{kind}` is not offered by this session.",
            param="payment_method",
        )
    payer = _payer(session, method)
    if behind["declines"] is not None:
        payments.decline(account, session["id"], kind, payer, code=behind["declines"])
        raise CardDeclinedError(behind["declines"])
    payments.pay(account, session["id"], kind, payer)
    payment_methods.use_up(account, method)
    if behind["settles"] is not None:
        at = account.now() + behind["after_seconds"]
        due = {"at": at, "outcome": behind["settles"]}
        account.put("settlements", session["id"], due)


def _payer(session: Json, method: Json) -> Json:
    details = method["billing_details"]
    email = session["customer_email"] or details["email"]
    if not email:
        at = "payment_method[billing_details][email]"
        text = "An e-mail address is needed: the payment method has none."
        raise ApiError(text, code="parameter_missing", param=at)
    address = {name: line for name, line in details["address"].items() if line}
    payer = {"name": details["name"], "phone": details["phone"], "email": email}
    with_what = payment_methods.on_charge(method)
    return payer | {"address": address or None, "paid_with": with_what}


def _page(session: Json) -> Json:
    """The fields of Stripe's answer that are self-explanatory."""
    return {
        "id": f"ppage_{session['id'][-24:]}",
        "object": "checkout.session",
        "session_id": session["id"],
        "currency": session["currency"],
        "customer_email": session["customer_email"],
        "livemode": False,
        "mode": session["mode"],
        "payment_method_types": list(session["payment_method_types"]),
        "payment_status": session["payment_status"],
        "status": session["status"],
        "success_url": session["success_url"],
        "total_summary": {
            "due": session["amount_total"],
            "subtotal": session["amount_subtotal"],
            "total": session["amount_total"],
        },
    }
