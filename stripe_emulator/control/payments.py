"""Routes by which a session is paid, settled and recovered."""

from flask import Blueprint

from stripe_emulator.checkout import payers, sessions, shipping
from stripe_emulator.checkout.session_object import METHODS
from stripe_emulator.control.bodies import given_body, one_of, only
from stripe_emulator.money import payments
from stripe_emulator.serving import customer
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError


def add(pages: Blueprint, parts: Parts) -> None:
    @pages.post("/sessions/<session_id>/pay")
    def pay(session_id: str) -> Json:
        given = only("method wait payer promotion_code shipping forgotten")
        method = one_of({"method": "card", **given}, "method", (*METHODS, "decline"))
        if not given.get("forgotten", False):
            _check_offered(parts, session_id, method)
        session = _with_choices(parts, session_id, given)
        payer = payers.filled(session, given.get("payer", {}))
        if method == "decline":
            with parts.account.mutex:
                return payments.decline(parts.account, session_id, "card", payer)
        event = customer.complete(
            parts, session_id, method, payer, waits=given.get("wait", True)
        )
        return _with_event(parts, event)

    @pages.post("/sessions/<session_id>/settle")
    def settle(session_id: str) -> Json:
        outcome = one_of(given_body(), "outcome", ("succeed", "fail"))
        return _with_event(parts, customer.settle(parts, session_id, outcome))

    @pages.post("/sessions/<session_id>/recover")
    def recover(session_id: str) -> Json:
        account = parts.account
        with account.mutex:
            return sessions.recover(account, account.get("sessions", session_id))


def _check_offered(parts: Parts, session_id: str, method: str) -> None:
    used = "card" if method == "decline" else method
    with parts.account.mutex:
        session = parts.account.get("sessions", session_id)
    if used not in session["payment_method_types"]:
        raise ApiError(f"{used} is not offered for this session.", param="method")


def _with_choices(parts: Parts, session_id: str, given: Json) -> Json:
    account, code = parts.account, given.get("promotion_code")
    with account.mutex:
        session = account.get("sessions", session_id)
        rate = None
        if "shipping" in given:
            rate = shipping.rate_named(account, session, given["shipping"])
        if rate or code:
            customer.choose(parts, session_id, rate=rate, code=code)
        return dict(session)


def _with_event(parts: Parts, event: Json) -> Json:
    with parts.account.mutex:
        session_id = event["data"]["object"]["id"]
        session = dict(parts.account.get("sessions", session_id))
        return {"session": session, "event": dict(event)}
