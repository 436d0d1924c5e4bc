"""All control routes, including those for the emulator as a whole."""

from flask import Blueprint, Response, jsonify, request

from stripe_emulator.control import faults, money_back, payments, webhooks
from stripe_emulator.control.bodies import given_body
from stripe_emulator.money.payments import SessionClosedError
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError


def blueprint(parts: Parts) -> Blueprint:
    pages = Blueprint("control", __name__, url_prefix="/_emulator")
    _add_state(pages, parts)
    faults.add(pages, parts)
    payments.add(pages, parts)
    money_back.add_refunds(pages, parts)
    money_back.add_disputes(pages, parts)
    webhooks.add(pages, parts)

    @pages.errorhandler(ApiError)
    def refused(error: ApiError) -> tuple[Response, int]:
        return jsonify(error.body()), error.status

    @pages.errorhandler(SessionClosedError)
    def closed(error: SessionClosedError) -> tuple[Response, int]:
        return jsonify({"error": {"message": f"the session is {error}"}}), 409

    return pages


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
            parts.advance(float(given_body().get("advance", 0)))
        return {"now": parts.clock.now()}
