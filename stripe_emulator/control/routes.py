"""The emulator's own routes under `/_emulator/`, for tests: see the package's text."""

from dataclasses import fields
from typing import Any

from flask import Blueprint, Response, jsonify, request

from stripe_emulator.api.routes import ROUTE_NAMES
from stripe_emulator.checkout import payers, sessions, shipping
from stripe_emulator.checkout.session_object import METHODS
from stripe_emulator.faults.barriers import Barrier
from stripe_emulator.faults.injected import KINDS, Fault
from stripe_emulator.money import disputes, payments, refunds
from stripe_emulator.serving.customer import choose, complete
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError
from stripe_emulator.webhooks.deliveries import MODES, SIGNATURES, is_local


def blueprint(parts: Parts) -> Blueprint:
    pages = Blueprint("control", __name__, url_prefix="/_emulator")
    _add_state(pages, parts)
    _add_faults(pages, parts)
    _add_money(pages, parts)
    _add_refunds(pages, parts)
    _add_disputes(pages, parts)
    _add_webhooks(pages, parts)

    @pages.errorhandler(ApiError)
    def refused(error: ApiError) -> tuple[Response, int]:
        return jsonify(error.body()), error.status

    @pages.errorhandler(payments.SessionClosedError)
    def closed(error: payments.SessionClosedError) -> tuple[Response, int]:
        return jsonify({"error": {"message": f"the session is {error}"}}), 409

    return pages


def _given() -> Json:
    given = request.get_json(silent=True) if request.data else {}
    if not isinstance(given, dict):
        raise ApiError("A JSON object is wanted.")
    return given


def _only(known: str) -> Json:
    """What is given, and nothing that has no meaning here."""
    given = _given()
    unknown = given.keys() - set(known.split())
    if unknown:
        raise ApiError(f"There is no {', '.join(sorted(unknown))} here; but {known}.")
    return given


def _add_state(pages: Blueprint, parts: Parts) -> None:
    @pages.post("/reset")
    def reset() -> Json:
        parts.reset()
        return {}

    @pages.get("/requests")
    def requests() -> Json:
        with parts.account.mutex:
            return {"requests": list(parts.requests)}

    @pages.route("/clock", methods=["GET", "POST"])
    def clock() -> Json:
        if request.method == "POST":
            parts.advance(float(_given().get("advance", 0)))
        return {"now": parts.clock.now()}


def _add_faults(pages: Blueprint, parts: Parts) -> None:
    @pages.get("/faults")
    def faults() -> Json:
        return {"faults": parts.faults.listed()}

    @pages.post("/faults")
    def add_fault() -> Json:
        given = _given()
        if given.get("kind") == "webhooks":
            return _set_webhooks(parts, given)
        parts.faults.add(_fault(given))
        return {"faults": parts.faults.listed()}

    @pages.post("/faults/clear")
    def clear_faults() -> Json:
        parts.faults.clear()
        return {}

    @pages.get("/barriers")
    def barriers() -> Json:
        return parts.barriers.listed()

    @pages.post("/barriers")
    def add_barrier() -> Json:
        given = _given()
        route = _route(given)
        is_after = bool(given.get("after", False))
        parts.barriers.add(Barrier(route, is_after, given.get("id")))
        return parts.barriers.listed()

    @pages.post("/barriers/release")
    def release_barrier() -> Json:
        parts.barriers.release(_given().get("route"))
        return parts.barriers.listed()


def _add_money(pages: Blueprint, parts: Parts) -> None:
    @pages.post("/sessions/<session_id>/pay")
    def pay(session_id: str) -> Json:
        given = _only("method wait payer promotion_code shipping forgotten")
        method = _one_of({"method": "card", **given}, "method", (*METHODS, "decline"))
        if not given.get("forgotten", False):
            _check_offered(parts, session_id, method)
        session = _with_choices(parts, session_id, given)
        payer = payers.filled(session, given.get("payer", {}))
        if method == "decline":
            with parts.account.mutex:
                return payments.decline(parts.account, session_id, "card", payer)
        event = complete(
            parts, session_id, method, payer, waits=given.get("wait", True)
        )
        return _with_event(parts, event)

    @pages.post("/sessions/<session_id>/settle")
    def settle(session_id: str) -> Json:
        outcome = _one_of(_given(), "outcome", ("succeed", "fail"))
        parts.barriers.wait("settle", session_id, after=False)
        with parts.account.mutex:
            event = payments.settle(parts.account, session_id, outcome)
        parts.webhooks.wait_for(event["id"], 10)
        return _with_event(parts, event)

    @pages.post("/sessions/<session_id>/recover")
    def recover(session_id: str) -> Json:
        account = parts.account
        with account.mutex:
            return sessions.recover(account, account.get("sessions", session_id))


def _add_refunds(pages: Blueprint, parts: Parts) -> None:
    account = parts.account

    @pages.post("/refunds/next")
    def next_refunds() -> Json:
        given = _only("status times")
        status = _one_of(given, "status", refunds.STATUSES)
        with account.mutex:
            account.next_refunds += [status] * int(given.get("times", 1))
            return {"next": list(account.next_refunds)}

    @pages.post("/refunds/<refund_id>/succeed")
    def succeed_refund(refund_id: str) -> Json:
        with account.mutex:
            return refunds.succeed(account, refund_id)

    @pages.post("/refunds/<refund_id>/fail")
    def fail_refund(refund_id: str) -> Json:
        with account.mutex:
            return refunds.fail(account, refund_id)

    @pages.post("/charges/<charge_id>/refund")
    def refund(charge_id: str) -> Json:
        given = _only("amount reason metadata")
        with account.mutex:
            named = {"charge": _charge(parts, charge_id)["id"]}
            return refunds.create(account, {**given, **named})


def _add_disputes(pages: Blueprint, parts: Parts) -> None:
    account = parts.account

    @pages.post("/charges/<charge_id>/dispute")
    def dispute(charge_id: str) -> Json:
        given = _only("amount reason")
        with account.mutex:
            return disputes.create(account, _charge(parts, charge_id), **given)

    @pages.post("/disputes/<dispute_id>/review")
    def review_dispute(dispute_id: str) -> Json:
        with account.mutex:
            return disputes.review(account, dispute_id)

    @pages.post("/disputes/<dispute_id>/close")
    def close_dispute(dispute_id: str) -> Json:
        outcome = _one_of(_only("outcome"), "outcome", ("won", "lost"))
        with account.mutex:
            return disputes.close(account, dispute_id, outcome)


def _add_webhooks(pages: Blueprint, parts: Parts) -> None:
    @pages.post("/events/<event_id>/deliver")
    def deliver(event_id: str) -> Json:
        with parts.account.mutex:
            parts.webhooks.send_again(parts.account.get("events", event_id))
        return {}

    @pages.get("/webhooks")
    def webhooks() -> Json:
        with parts.account.mutex:
            rows = list(parts.account.tables["deliveries"].values())
            return {"attempts": list(parts.webhooks.attempts), "waiting": rows}

    @pages.post("/webhooks/endpoint")
    def endpoint() -> Json:
        given = _given()
        url = given.get("url")
        if url is not None and not is_local(url):
            raise ApiError("A webhook goes to this machine only.", param="url")
        parts.send_webhooks(url, given.get("secret", ""))
        return {}

    @pages.post("/webhooks/release")
    def release() -> Json:
        given = _given()
        count = parts.webhooks.release(order=given.get("order", "normal"))
        if given.get("mode", "normal") == "normal":
            parts.webhooks.mode = "normal"
        return {"released": count}


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
            choose(parts, session_id, rate=rate, code=code)
        return dict(session)


def _charge(parts: Parts, object_id: str) -> Json:
    """The charge by its own id, by its payment's or by its session's."""
    account = parts.account
    if object_id.startswith("cs_"):
        object_id = account.get("sessions", object_id)["payment_intent"] or object_id
    if object_id.startswith("pi_"):
        object_id = account.get("payment_intents", object_id)["latest_charge"] or ""
    return account.get("charges", object_id)


def _with_event(parts: Parts, event: Json) -> Json:
    with parts.account.mutex:
        session_id = event["data"]["object"]["id"]
        session = dict(parts.account.get("sessions", session_id))
        return {"session": session, "event": dict(event)}


def _set_webhooks(parts: Parts, given: Json) -> Json:
    webhooks = parts.webhooks
    with parts.account.mutex:
        if "mode" in given:
            webhooks.mode = _one_of(given, "mode", MODES)
            webhooks.types = tuple(given.get("types", ()))
        if "signature" in given:
            webhooks.signature = _one_of(given, "signature", SIGNATURES)
    named = {"mode": webhooks.mode, "types": webhooks.types}
    return {**named, "signature": webhooks.signature}


def _fault(given: Json) -> Fault:
    _one_of(given, "kind", KINDS)
    _route(given)
    unknown = given.keys() - {field.name for field in fields(Fault)}
    if unknown:
        raise ApiError(f"A fault has no {', '.join(sorted(unknown))}.")
    return Fault(**given)


def _route(given: Json) -> str:
    route: str = _one_of(given, "route", (*ROUTE_NAMES, "*"))
    return route


def _one_of(given: Json, name: str, allowed: tuple[str, ...]) -> Any:
    value = given.get(name)
    if value not in allowed:
        raise ApiError(f"{name} must be one of {', '.join(allowed)}", param=name)
    return value
