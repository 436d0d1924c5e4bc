"""Every route of the API that is emulated."""

from stripe import params as types

from stripe_emulator.api import (
    client_routes,
    money_routes,
    offer_routes,
    session_routes,
)
from stripe_emulator.api.route import Route, many, one

_EVENTS = "/v1/events"

ROUTES = (
    *session_routes.ROUTES,
    *money_routes.ROUTES,
    *offer_routes.ROUTES,
    *client_routes.ROUTES,
    Route(
        "list_events", "GET", _EVENTS, types.EventListParams, many("events", _EVENTS)
    ),
    Route(
        "retrieve_event",
        "GET",
        f"{_EVENTS}/<object_id>",
        types.EventRetrieveParams,
        one("events"),
    ),
)
ROUTE_NAMES = (*(route.name for route in ROUTES), "settle")
