"""An emulator in this process, the real client in front of it, a shop behind it."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from stripe_emulator.emulator import Emulator
from tests.emulator import call, wait_until

SECRET = "whsec_test"


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "enable_telemetry", False)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    running = Emulator()
    running.start(0)
    yield running
    running.stop()


@pytest.fixture
def url(emulator: Emulator) -> str:
    return emulator.account.base_url


@pytest.fixture
def client(url: str) -> stripe.StripeClient:
    return client_for(url)


@pytest.fixture
def sessions(client: stripe.StripeClient) -> Any:
    return client.v1.checkout.sessions


@pytest.fixture
def control(url: str) -> Any:
    """`control("sessions/cs_…/pay", method="card")`."""
    return lambda at, /, **body: call(f"{url}/_emulator/{at}", body)


@pytest.fixture
def look(url: str) -> Any:
    return lambda at: call(f"{url}/_emulator/{at}", method="GET")


@pytest.fixture
def shop(emulator: Emulator) -> Iterator["Shop"]:
    listening = Shop()
    emulator.send_webhooks(listening.url, SECRET)
    yield listening
    listening.stop()


def client_for(url: str, **options: Any) -> stripe.StripeClient:
    more = {"max_network_retries": 0, **options}
    key = more.pop("key", "sk_test_x")
    return stripe.StripeClient(key, base_addresses={"api": url}, **more)


def order(**changes: Any) -> Any:
    """The parameters of a small order: two mugs at 12.95."""
    mug = {"currency": "eur", "unit_amount": 1295, "product_data": {"name": "Mug"}}
    return {
        "mode": "payment",
        "success_url": "http://127.0.0.1:9/success?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/cancel",
        "line_items": [{"price_data": mug, "quantity": 2}],
        "expires_at": int(time.time()) + 2000,
    } | changes


def as_json(answer: Any) -> Any:
    """What came over the wire, without what the package made of it."""
    return json.loads(str(answer))


class Shop:
    """A webhook endpoint that keeps what comes and answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.received: list[tuple[bytes, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def events(self, kind: str = "") -> list[Any]:
        found = [json.loads(body) for body, _ in self.received]
        return [event for event in found if event["type"].startswith(kind)]

    def wait_for(self, kind: str, count: int = 1) -> list[Any]:
        def has_come() -> list[Any]:
            found = self.events(kind)
            return found if len(found) >= count else []

        found: list[Any] = wait_until(has_come, what=f"{count} of {kind}")
        return found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                shop.received.append((body, self.headers["Stripe-Signature"]))
                status = shop.answers.pop(0) if shop.answers else 200
                shop.gate.wait(30)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        return Handler
