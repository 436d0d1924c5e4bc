"""How a call to the API is answered: API key, parameters, idempotency key, faults."""

import base64
import binascii
import hashlib
import json
import os
import socket
import struct
import time
from functools import partial

from flask import Blueprint, Response, request

from stripe_emulator.api import expansion
from stripe_emulator.api.route import Call, Route
from stripe_emulator.api.routes import ROUTES
from stripe_emulator.faults.injected import DroppedError, HtmlError, ResetError
from stripe_emulator.serving.parts import Parts
from stripe_emulator.serving.server import CONNECTION
from stripe_emulator.state.account import Json, new_id
from stripe_emulator.state.idempotency import Answer
from stripe_emulator.validation import forms
from stripe_emulator.validation.errors import ApiError, server_error, unknown_route
from stripe_emulator.validation.parameters import judged

_TEST_KEYS = ("sk_test_", "rk_test_")
# From this version on, creates refuse `payment_method_types`. A request without a
# version counts as older, because the default version of an account may be.
_WITHOUT_METHOD_TYPES = "2026-09-30"
_WITH_METHOD_TYPES = ("create", "create_payment_intent")


def blueprint(parts: Parts) -> Blueprint:
    pages = Blueprint("api", __name__)
    for route in ROUTES:
        pages.add_url_rule(
            route.path,
            endpoint=route.name,
            view_func=partial(_answer, parts, route),
            methods=[route.method],
        )
    return pages


def unknown() -> Response:
    return _json(unknown_route(request.method, request.path))


def failed() -> Response:
    return _json(server_error())


def _answer(parts: Parts, route: Route, object_id: str = "") -> Response:
    request_id = new_id("req", 14)
    if parts.delay_seconds:
        time.sleep(parts.delay_seconds)
    where = (route.name, object_id or None)
    try:
        _check_key(request.headers.get("Authorization", ""), parts.key)
        parts.faults.on_arrival(*where)
        answer = _under_key(parts, route, object_id, request_id)
        parts.faults.on_answer(*where)
    except ApiError as error:
        return _json(error, request_id)
    except HtmlError as error:
        return Response(error.body, error.status, content_type="text/html")
    except DroppedError:
        return dropped()
    except ResetError:
        return reset()
    response = Response(answer.body, answer.status, content_type="application/json")
    response.headers["Request-Id"] = request_id
    if key := _idempotency_key():
        response.headers["Idempotency-Key"] = key
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _under_key(parts: Parts, route: Route, object_id: str, request_id: str) -> Answer:
    tree = _parsed()
    asked = {"path": request.path, "params": _digest(tree)}
    caused_by = {"id": request_id, "idempotency_key": _idempotency_key()}

    def act() -> Answer:
        try:
            params = judged(_for_version(tree, route), route.params)
            params |= _old_methods(tree, route)
            expansion.check_expand(params.get("expand", []))
            call = Call(parts.account, object_id, params, caused_by)
            return _take_effect(parts, route, call)
        except ApiError as error:
            return Answer(error.status, json.dumps(error.body()), kept=error.executed)

    return parts.keys.answer(_idempotency_key(), asked, act)


def _digest(tree: Json) -> str:
    """A hash to compare later calls with, so that bodies need not be kept for a day."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def _take_effect(parts: Parts, route: Route, call: Call) -> Answer:
    where = (route.name, call.object_id or None)
    parts.barriers.wait(*where, after=False)
    parts.faults.before_effect(*where)
    with parts.account.mutex:
        parts.end_due()
        result = route.act(call)
        result = expansion.expanded(
            parts.account, result, call.params.get("expand", [])
        )
        body = json.dumps(result)
    parts.faults.after_effect(*where)
    parts.barriers.wait(*where, after=True)
    return Answer(200, body)


def _parsed() -> Json:
    query = request.query_string.decode("latin-1")
    if request.method in ("GET", "DELETE"):
        return forms.parse(query)
    content_type = request.mimetype or "application/x-www-form-urlencoded"
    if content_type != "application/x-www-form-urlencoded":
        raise ApiError(
            "Invalid request: the Content-Type must be "
            f"application/x-www-form-urlencoded, not {content_type}."
        )
    try:
        return forms.parse(request.get_data().decode())
    except UnicodeDecodeError:
        raise ApiError("Invalid request: the body is not UTF-8.") from None


def _is_old_create(route: Route) -> bool:
    version = request.headers.get("Stripe-Version", "")
    return route.name in _WITH_METHOD_TYPES and version[:10] < _WITHOUT_METHOD_TYPES


def _for_version(tree: Json, route: Route) -> Json:
    if not _is_old_create(route):
        return tree
    return {name: tree[name] for name in tree if name != "payment_method_types"}


def _old_methods(tree: Json, route: Route) -> Json:
    methods = tree.get("payment_method_types")
    if methods is None or not _is_old_create(route):
        return {}
    if not isinstance(methods, dict):
        raise ApiError("Invalid array", param="payment_method_types")
    return {"payment_method_types": list(methods.values())}


def _idempotency_key() -> str | None:
    if request.method != "POST":
        return None
    return request.headers.get("Idempotency-Key")


def _check_key(authorization: str, wanted: str | None) -> None:
    key = _given_key(authorization)
    if not key:
        text = (
            "You did not provide an API key. You need to provide your API key in the "
            "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
            "YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for "
            "details, or we can help at https://support.stripe.com/."
        )
        raise ApiError(text, status=401)
    if not key.startswith(_TEST_KEYS) or wanted not in (None, key):
        shown = f"{key[:8]}{'*' * 8}{key[-4:] if len(key) > 16 else ''}"
        raise ApiError(f"Invalid API Key provided: {shown}", status=401)


def _given_key(authorization: str) -> str:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(given).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _json(error: ApiError, request_id: str | None = None) -> Response:
    body = json.dumps(error.body())
    response = Response(body, error.status, content_type="application/json")
    response.headers.update(error.headers)
    if request_id is not None:
        response.headers["Request-Id"] = request_id
    return response


def dropped() -> Response:
    """Close the connection; the answer that Flask needs goes nowhere."""
    connection: socket.socket = request.environ[CONNECTION]
    connection.shutdown(socket.SHUT_RDWR)
    return Response(status=500)


def reset() -> Response:
    """Reset the connection instead of closing it (TCP RST)."""
    connection: socket.socket = request.environ[CONNECTION]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
    return Response(status=500)
