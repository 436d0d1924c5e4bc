"""Routes for webhooks: endpoint, mode, held events, repeats."""

from flask import Blueprint

from stripe_emulator.control.bodies import given_body, one_of
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError
from stripe_emulator.webhooks.deliveries import MODES
from stripe_emulator.webhooks.posting import is_local
from stripe_emulator.webhooks.signing import SIGNATURES


def add(pages: Blueprint, parts: Parts) -> None:
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
        given = given_body()
        url = given.get("url")
        if url is not None and not is_local(url):
            raise ApiError("A webhook goes to this machine only.", param="url")
        parts.send_webhooks(url, given.get("secret", ""))
        return {}

    @pages.post("/webhooks/release")
    def release() -> Json:
        given = given_body()
        count = parts.webhooks.release(order=given.get("order", "normal"))
        parts.webhooks.mode = "normal"
        return {"released": count}


def set_mode(parts: Parts, given: Json) -> Json:
    webhooks = parts.webhooks
    with parts.account.mutex:
        if "mode" in given:
            webhooks.mode = one_of(given, "mode", MODES)
            webhooks.types = tuple(given.get("types", ()))
        if "signature" in given:
            webhooks.signature = one_of(given, "signature", SIGNATURES)
    named = {"mode": webhooks.mode, "types": webhooks.types}
    return {**named, "signature": webhooks.signature}
