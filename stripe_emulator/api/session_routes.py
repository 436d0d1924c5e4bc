"""Routes for Checkout Sessions."""

from stripe.params import checkout

from stripe_emulator.api import lists
from stripe_emulator.api.route import Call, Route, many
from stripe_emulator.checkout import sessions
from stripe_emulator.state.account import Json

_SESSIONS = "/v1/checkout/sessions"
_ONE_SESSION = "/v1/checkout/sessions/<object_id>"


def _create(call: Call) -> Json:
    return sessions.create(call.account, call.params)


def _session(call: Call) -> Json:
    return call.account.get("sessions", call.object_id)


def _update(call: Call) -> Json:
    return sessions.update(call.account, _session(call), call.params)


def _expire(call: Call) -> Json:
    return sessions.expire(call.account, _session(call), request=call.request)


def _line_items(call: Call) -> Json:
    lines = sessions.line_items(call.account, _session(call))
    url = f"/v1/checkout/sessions/{call.object_id}/line_items"
    return lists.cut(lines, call.params, url=url)


ROUTES = (
    Route("create", "POST", _SESSIONS, checkout.SessionCreateParams, _create),
    Route(
        "list",
        "GET",
        _SESSIONS,
        checkout.SessionListParams,
        many("sessions", _SESSIONS),
    ),
    Route("retrieve", "GET", _ONE_SESSION, checkout.SessionRetrieveParams, _session),
    Route("update", "POST", _ONE_SESSION, checkout.SessionUpdateParams, _update),
    Route(
        "expire",
        "POST",
        f"{_ONE_SESSION}/expire",
        checkout.SessionExpireParams,
        _expire,
    ),
    Route(
        "line_items",
        "GET",
        f"{_ONE_SESSION}/line_items",
        checkout.SessionListLineItemsParams,
        _line_items,
    ),
)
