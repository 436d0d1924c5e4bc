import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import stripe as stripe_package
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

from core.config import Config, Limits
from core.database.engine import Database
from storefront import create_app
from storefront.extensions import db
from tests.emulator import EmulatorServer

SECRET = "whsec_test"


class Compiled(BytecodeCache):
    """What Jinja makes of the templates, for every app of the tests' but the first."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()
Deliver = Callable[..., TestResponse]


@pytest.fixture
def app(config: Config, database: Database) -> Iterator[Flask]:
    made = create_app(replace(config, limits=Limits(checkouts_per_minute=0)))
    made.testing = False
    made.jinja_env.bytecode_cache = COMPILED
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def other_client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def deliver(client: FlaskClient) -> Deliver:
    """Post a body to the webhook as Stripe does: signed, unless told otherwise."""

    def post(
        body: bytes | dict[str, Any],
        *,
        secret: str = SECRET,
        age: int = 0,
        signature: str | None = None,
    ) -> TestResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        if signature is None:
            signature = stripe_package.WebhookSignature.generate_signature_header(
                raw.decode("latin-1"), secret, int(time.time()) - age
            )
        return client.post(
            "/api/stripe/webhook", data=raw, headers={"Stripe-Signature": signature}
        )

    return post


def event_of(stripe: EmulatorServer, session_id: str, kind: str) -> dict[str, Any]:
    """Return the event that Stripe made about a session."""
    client = stripe_package.StripeClient(
        "sk_test_shop", base_addresses={"api": stripe.url}
    )
    for event in client.v1.events.list({"type": kind}).data:
        if event.data.object["id"] == session_id:
            found: dict[str, Any] = json.loads(str(event))
            return found
    raise AssertionError(f"no {kind} about {session_id}")


def token_in(response: TestResponse) -> str:
    """Return the CSRF token of a page's forms."""
    return response.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]


def json_of(response: TestResponse) -> Any:
    return response.json
