"""`POST /api/checkout` and Stripe's webhook, through gunicorn."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import requests

from benchmarks.carts import ONE_LINE
from benchmarks.http_load import Requests, post
from benchmarks.load import Fill
from benchmarks.measure import (
    Finding,
    Measure,
    Samples,
    Target,
    at_least,
    exactly,
)
from benchmarks.served import BARE, SHOP, Server, served
from benchmarks.stand import ENGINES, Stand
from tests.emulator import EmulatorServer

CONNECTIONS = 64
WORKERS = 2
DELAY_MS = 150
JSON = "Content-Type: application/json"
LITTLE, ALONE, VIEW = (
    "Little's law",
    "Stripe's stand-in alone",
    "reserve in a bare view",
)


def checkout() -> bytes:
    """Return a request to check out one product."""
    (product_id,) = ONE_LINE.draw()
    body = b'{"items": [{"product_id": %d, "quantity": 1}]}' % product_id
    return post("/api/checkout", body, JSON)


@dataclass(frozen=True)
class PaymentPage:
    """A request for a payment page, as the shop has made one before."""

    body: str

    def __call__(self) -> bytes:
        return post(
            "/v1/checkout/sessions",
            self.body.encode(),
            "Authorization: Bearer sk_test_shop",
            "Content-Type: application/x-www-form-urlencoded",
            f"Idempotency-Key: {secrets.token_hex(16)}",
        )


def checkouts(stand: Stand) -> Iterator[Finding]:
    """POST /api/checkout end to end, Stripe's stand-in answering after 150 and 0 ms."""
    for delay_ms in (DELAY_MS, 0):
        for engine in ENGINES:
            yield from _checkouts(stand, engine, delay_ms)


def _checkouts(stand: Stand, engine: str, delay_ms: int) -> Iterator[Finding]:
    what = f"POST /api/checkout, Stripe at {delay_ms} ms"
    with ExitStack() as stack:
        stripe = stack.enter_context(
            EmulatorServer(options=("--delay-ms", str(delay_ms)))
        )
        url = stack.enter_context(stand.database(engine, Fill()))
        shop, view = (
            stack.enter_context(served(app, url, stripe, stand.folder, workers=WORKERS))
            for app in (SHOP, BARE)
        )
        taken = stand.in_turn(
            {
                "shop": _rate(stand, shop.port, checkout),
                ALONE: _rate(stand, stripe.port, _page_of(shop, stripe)),
                VIEW: _rate(stand, view.port, checkout),
            },
            what=f"{what} on {engine}",
        )
    floors: dict[str, tuple[Samples, Target | None]] = {
        ALONE: (taken[ALONE], None),
        VIEW: (taken[VIEW], None),
    }
    if delay_ms:
        least = exactly(CONNECTIONS * 1000 / delay_ms)
        floors = {LITTLE: (least, at_least(0.8)), ALONE: (taken[ALONE], None)}
    for floor, (samples, target) in floors.items():
        yield Finding(
            what=what,
            engine=engine,
            clients=str(CONNECTIONS),
            unit="/s",
            measured=taken["shop"],
            floor=floor,
            floor_samples=samples,
            target=target,
        )


def _rate(stand: Stand, port: int, ask: Callable[[], bytes]) -> Measure:
    load = Requests(port, ask, CONNECTIONS, stand.sizes.web_seconds)
    return lambda: stand.clients.run(load).rate


def _page_of(shop: Server, stripe: EmulatorServer) -> PaymentPage:
    """Check out once, to see what the shop asks Stripe for."""
    items = [{"product_id": 1, "quantity": 1}]
    answer = requests.post(
        f"{shop.url}/api/checkout", json={"items": items}, timeout=30
    )
    answer.raise_for_status()
    return PaymentPage(stripe.requests("/v1/checkout/sessions")[-1]["body"])
