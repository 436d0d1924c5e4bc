"""Routes for faults and barriers."""

from dataclasses import fields

from flask import Blueprint

from stripe_emulator.api.routes import ROUTE_NAMES
from stripe_emulator.control.bodies import given_body, one_of
from stripe_emulator.control.webhooks import set_mode
from stripe_emulator.faults.barriers import Barrier
from stripe_emulator.faults.injected import KINDS, Fault
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError


def add(pages: Blueprint, parts: Parts) -> None:
    @pages.get("/faults")
    def faults() -> Json:
        return {"faults": parts.faults.listed()}

    @pages.post("/faults")
    def add_fault() -> Json:
        given = given_body()
        if given.get("kind") == "webhooks":
            return set_mode(parts, given)
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
        given = given_body()
        route = _route(given)
        is_after = bool(given.get("after", False))
        parts.barriers.add(Barrier(route, is_after, given.get("id")))
        return parts.barriers.listed()

    @pages.post("/barriers/release")
    def release_barrier() -> Json:
        parts.barriers.release(given_body().get("route"))
        return parts.barriers.listed()


def _fault(given: Json) -> Fault:
    one_of(given, "kind", KINDS)
    _route(given)
    unknown = given.keys() - {field.name for field in fields(Fault)}
    if unknown:
        raise ApiError(f"A fault has no {', '.join(sorted(unknown))}.")
    return Fault(**given)


def _route(given: Json) -> str:
    route: str = one_of(given, "route", (*ROUTE_NAMES, "*"))
    return route
