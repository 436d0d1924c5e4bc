from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.checkout import events
from core.clock import utcnow
from core.database.engine import Database
from core.models.checkout import CANCELLED
from core.refunds import views as refund_views
from core.stock import reservations
from core.stock.reservations import Closed
from tests.emulator import EmulatorServer
from tests.factories import FakeClock, add_product, begin, levels, sessions_at

ROUTE = "/api/cron/cleanup-stock-reservations"
RIGHT = {"Authorization": "Bearer for tests"}


@pytest.fixture
def later(app: Flask) -> FakeClock:
    """Give the running application a clock that can be moved."""
    clock = FakeClock(utcnow())
    app.extensions["shop"] = replace(app.extensions["shop"], clock=clock)
    return clock


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_route_ends_what_is_due_and_counts(
    client: FlaskClient,
    other_client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
    later: FakeClock,
    method: str,
) -> None:
    mug = add_product(database)
    body = {"items": [{"product_id": mug, "quantity": 1}]}
    unpaid = client.post("/api/checkout", json=body).json
    paid = other_client.post("/api/checkout", json=body).json
    assert unpaid
    assert paid
    stripe.pay(paid["stripe_session_id"])
    later.advance(minutes=15)

    answer = getattr(client, method)(ROUTE, headers=RIGHT)

    assert answer.status_code == 200
    assert answer.json == {"expired": 1, "confirmed": 1, "kept": 0}
    assert sessions_at(stripe)[unpaid["stripe_session_id"]] == "expired"
    assert levels(database, mug) == (4, 0)


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", "Bearer wrong", "for tests", "Basic for tests"),
        *("Bearer for testé", "Bearer for tests!", "bearer\tfor tests"),
    ],
)
def test_without_the_secret_nothing_is_done(client: FlaskClient, header: str) -> None:
    answer = client.post(ROUTE, headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert "WWW-Authenticate" in answer.headers


def test_the_route_sends_the_refunds_that_are_owed(
    app: Flask, client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, stock_units=1)
    shop = app.extensions["shop"]
    page = begin(shop, {mug: 1})
    database.write(
        lambda session: reservations.end(
            session, page.checkout_id, Closed(CANCELLED, "test"), now=utcnow()
        )
    )
    begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    stripe.fault("refund", "status", status=401, times=0)
    events.settle_returned(shop, page.stripe_session_id)
    stripe.control("faults/clear")

    client.post(ROUTE, headers=RIGHT)

    with database.read() as session:
        (refund,) = refund_views.refunds(session)
    assert refund.status == "DONE"
