"""Reading the JSON that a test sends to a control route."""

from typing import Any

from flask import request

from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError


def given_body() -> Json:
    given = request.get_json(silent=True) if request.data else {}
    if not isinstance(given, dict):
        raise ApiError("A JSON object is wanted.")
    return given


def only(known: str) -> Json:
    """Return the body; raise ApiError if it has a name that is not in *known*."""
    given = given_body()
    unknown = given.keys() - set(known.split())
    if unknown:
        raise ApiError(f"There is no {', '.join(sorted(unknown))} here; but {known}.")
    return given


def one_of(given: Json, name: str, allowed: tuple[str, ...]) -> Any:
    value = given.get(name)
    if value not in allowed:
        raise ApiError(f"{name} must be one of {', '.join(allowed)}", param=name)
    return value
