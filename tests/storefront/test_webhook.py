import hashlib
import hmac
import json
import time
from typing import Any

import pytest
import stripe as stripe_package
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.database.engine import Database
from tests.emulator import EmulatorServer
from tests.factories import add_product, levels, orders_of, status_of
from tests.storefront.conftest import SECRET, Deliver, event_of, json_of

COMPLETED = "checkout.session.completed"


def paid_checkout(
    client: FlaskClient, stripe: EmulatorServer, product_id: int, quantity: int = 1
) -> dict[str, Any]:
    answer = client.post(
        "/api/checkout",
        json={"items": [{"product_id": product_id, "quantity": quantity}]},
    )
    stripe.pay(json_of(answer)["stripe_session_id"])
    page: dict[str, Any] = json_of(answer)
    return page


def test_a_seed_scenario_sells_exactly_what_was_bought(
    client: FlaskClient,
    other_client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
    deliver: Deliver,
) -> None:
    mug = add_product(database, stock_units=5)
    body = {"items": [{"product_id": mug, "quantity": 1}]}
    pages = [each.post("/api/checkout", json=body) for each in (client, other_client)]
    seen = [
        json_of(each.get("/api/products"))["products"][0]["available"]
        for each in (client, other_client)
    ]
    ids = [json_of(page)["stripe_session_id"] for page in pages]
    for session_id in ids:
        stripe.pay(session_id)
    events = [event_of(stripe, session_id, COMPLETED) for session_id in ids]

    first = [deliver(event).status_code for event in events]
    again = [deliver(event).status_code for event in events]

    assert seen == [3, 3]
    assert first == again == [200, 200]
    assert levels(database, mug) == (3, 0)
    assert len(orders_of(database)) == 2


def test_a_completed_event_makes_the_order(
    client: FlaskClient, database: Database, stripe: EmulatorServer, deliver: Deliver
) -> None:
    mug = add_product(database)
    page = paid_checkout(client, stripe, mug)

    answer = deliver(event_of(stripe, page["stripe_session_id"], COMPLETED))

    assert answer.status_code == 200
    assert status_of(database, page["checkout_id"]) == "CONFIRMED"
    assert len(orders_of(database)) == 1


def is_refused(answer: TestResponse, database: Database) -> bool:
    return answer.status_code == 400 and orders_of(database) == []


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "whsec_wrong"},
        {"age": 301},
        {"age": -400},
        {"age": -86_400},
        {"signature": ""},
        {"signature": "t=,v1="},
        {"signature": "t=now,v1=abc"},
        {"signature": "v1=abc"},
        {"signature": "t=1,v1=é"},
        {"signature": "geheim é"},
    ],
    ids=str,
)
def test_a_message_that_stripe_did_not_sign_now_is_refused(
    client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
    deliver: Deliver,
    options: dict[str, Any],
) -> None:
    mug = add_product(database)
    page = paid_checkout(client, stripe, mug)
    event = event_of(stripe, page["stripe_session_id"], COMPLETED)

    answer = deliver(event, **options)

    assert is_refused(answer, database)
    assert levels(database, mug) == (5, 1)


def test_a_message_without_a_signature_is_refused(client: FlaskClient) -> None:
    answer = client.post("/api/stripe/webhook", data=b"{}")

    assert answer.status_code == 400


def test_a_changed_message_is_refused(
    client: FlaskClient, database: Database, stripe: EmulatorServer, deliver: Deliver
) -> None:
    mug = add_product(database)
    page = paid_checkout(client, stripe, mug)
    event = event_of(stripe, page["stripe_session_id"], COMPLETED)
    signature = stripe_package.WebhookSignature.generate_signature_header(
        json.dumps(event), SECRET, int(time.time())
    )

    answer = deliver({**event, "id": "evt_other"}, signature=signature)

    assert is_refused(answer, database)


def test_a_message_of_a_rolled_secret_is_taken(
    client: FlaskClient, database: Database, stripe: EmulatorServer, deliver: Deliver
) -> None:
    mug = add_product(database)
    page = paid_checkout(client, stripe, mug)
    event = event_of(stripe, page["stripe_session_id"], COMPLETED)
    right = stripe_package.WebhookSignature.generate_signature_header(
        json.dumps(event), SECRET, int(time.time())
    )

    answer = deliver(event, signature=right.replace(",v1=", ",v1=0000,v1="))

    assert answer.status_code == 200
    assert len(orders_of(database)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"event"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"object": "event"}',
        b'{"object": "event", "livemode": false, "id": "evt_1", "type": "x"}',
        b'{"object": "event", "livemode": false, "id": 1, "type": "x", "data": {}}',
        b'{"object": "v2.core.event", "livemode": false, "id": "evt_1", "type": "x"}',
        b'{"object":"event","livemode":false,"id":"evt_1","type":"x","data":{"object":7}}',
        b'{"object":"event","livemode":false,"id":"\\ud800","type":"x","data":{"object":{}}}',
        b'{"object":"event","livemode":false,"id":"\\u0000","type":"x","data":{"object":{}}}',
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_signed_body_that_is_no_event_is_refused(
    client: FlaskClient, deliver: Deliver, body: bytes
) -> None:
    signature = sign(body)

    answer = deliver(body, signature=signature)

    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"


def sign(body: bytes) -> str:
    """Sign any bytes, also those that the package would not take as text."""
    now = int(time.time())
    digest = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256)
    return f"t={now},v1={digest.hexdigest()}"


@pytest.mark.parametrize("livemode", [True, None, "false", 0])
def test_an_event_of_the_wrong_mode_is_refused(
    client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
    deliver: Deliver,
    livemode: object,
) -> None:
    mug = add_product(database)
    page = paid_checkout(client, stripe, mug)
    event = event_of(stripe, page["stripe_session_id"], COMPLETED)

    answer = deliver({**event, "livemode": livemode})

    assert is_refused(answer, database)


def test_a_message_that_is_too_large_is_refused(deliver: Deliver) -> None:
    answer = deliver(b"x" * 300_000)

    assert answer.status_code == 413


def test_an_event_of_no_interest_is_taken_and_ignored(deliver: Deliver) -> None:
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "customer.created",
        "livemode": False,
        "data": {"object": {"id": "cus_1", "object": "customer"}},
    }

    assert deliver(event).status_code == 200


def test_a_session_of_another_program_is_taken_and_ignored(
    database: Database, deliver: Deliver
) -> None:
    session = {
        "id": "cs_test_foreign",
        "object": "checkout.session",
        "client_reference_id": "order-12",
        "metadata": {"shop": "other"},
    }
    event = {
        "id": "evt_1",
        "object": "event",
        "type": COMPLETED,
        "livemode": False,
        "data": {"object": session},
    }

    assert deliver(event).status_code == 200
    assert orders_of(database) == []


def test_our_session_without_a_checkout_here_is_asked_for_again(
    deliver: Deliver,
) -> None:
    session = {
        "id": "cs_test_lost",
        "object": "checkout.session",
        "client_reference_id": "7",
        "metadata": {"checkout_id": "7", "checkout_key": "checkout-lost"},
    }
    event = {
        "id": "evt_1",
        "object": "event",
        "type": COMPLETED,
        "livemode": False,
        "data": {"object": session},
    }

    assert deliver(event).status_code == 503


def test_while_stripe_cannot_tell_the_event_is_asked_for_again(
    client: FlaskClient, database: Database, stripe: EmulatorServer, deliver: Deliver
) -> None:
    mug = add_product(database)
    page = paid_checkout(client, stripe, mug)
    event = event_of(stripe, page["stripe_session_id"], COMPLETED)
    stripe.fault("retrieve", "error_before", times=0)

    during = deliver(event)
    stripe.control("faults/clear")
    after = deliver(event)

    assert (during.status_code, after.status_code) == (503, 200)
    assert len(orders_of(database)) == 1
