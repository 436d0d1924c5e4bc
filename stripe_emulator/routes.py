"""The part of the API that is emulated: one row a call, and what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stripe import params as types
from stripe.params import checkout

from stripe_emulator import lists, refunds, sessions
from stripe_emulator.account import Account, Json


@dataclass(frozen=True)
class Call:
    """One request whose parameters have been judged."""

    account: Account
    object_id: str
    params: Json
    request: Json


@dataclass(frozen=True)
class Route:
    name: str
    method: str
    path: str
    params: Any
    act: Callable[[Call], Json]


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


def _refund(call: Call) -> Json:
    return refunds.create(call.account, call.params, request=call.request)


def _one(table: str) -> Callable[[Call], Json]:
    return lambda call: call.account.get(table, call.object_id)


def _many(table: str, url: str) -> Callable[[Call], Json]:
    def act(call: Call) -> Json:
        rows = call.account.tables[table].values()
        return lists.page(rows, call.params, url=url)

    return act


_SESSIONS, _ONE_SESSION = "/v1/checkout/sessions", "/v1/checkout/sessions/<object_id>"
_INTENTS, _CHARGES = "/v1/payment_intents", "/v1/charges"
_REFUNDS, _EVENTS = "/v1/refunds", "/v1/events"

ROUTES = (
    Route("create", "POST", _SESSIONS, checkout.SessionCreateParams, _create),
    Route(
        "list",
        "GET",
        _SESSIONS,
        checkout.SessionListParams,
        _many("sessions", _SESSIONS),
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
    Route(
        "list_payment_intents",
        "GET",
        _INTENTS,
        types.PaymentIntentListParams,
        _many("payment_intents", _INTENTS),
    ),
    Route(
        "retrieve_payment_intent",
        "GET",
        f"{_INTENTS}/<object_id>",
        types.PaymentIntentRetrieveParams,
        _one("payment_intents"),
    ),
    Route(
        "retrieve_charge",
        "GET",
        f"{_CHARGES}/<object_id>",
        types.ChargeRetrieveParams,
        _one("charges"),
    ),
    Route("refund", "POST", _REFUNDS, types.RefundCreateParams, _refund),
    Route(
        "list_refunds",
        "GET",
        _REFUNDS,
        types.RefundListParams,
        _many("refunds", _REFUNDS),
    ),
    Route(
        "retrieve_refund",
        "GET",
        f"{_REFUNDS}/<object_id>",
        types.RefundRetrieveParams,
        _one("refunds"),
    ),
    Route(
        "list_events", "GET", _EVENTS, types.EventListParams, _many("events", _EVENTS)
    ),
    Route(
        "retrieve_event",
        "GET",
        f"{_EVENTS}/<object_id>",
        types.EventRetrieveParams,
        _one("events"),
    ),
)
ROUTE_NAMES = (*(route.name for route in ROUTES), "pay", "settle")
