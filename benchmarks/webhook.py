"""From Stripe's event to the order that stands."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import func, select

from benchmarks import floors, raw_sqlite
from benchmarks.clients import ALONE, SIXTEEN
from benchmarks.http_load import Requests, post
from benchmarks.load import Fill
from benchmarks.measure import Finding
from benchmarks.reserve import BARE, rate_of
from benchmarks.served import SHOP, Server, served
from benchmarks.shop import opened
from benchmarks.sqlite import RAW
from benchmarks.stand import ENGINES, POSTGRESQL, Stand
from benchmarks.web import JSON, WORKERS, checkout
from core.models.checkout import PENDING, Checkout
from core.models.orders import Order
from core.stock import postgres
from tests.emulator import EmulatorServer

CONNECTIONS = 16
ORDERS = "webhook to order"


@dataclass
class Events:
    """Signed events, each to be sent once."""

    bodies: list[bytes]
    secret: str
    left: Iterator[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.left = iter(self.bodies)

    def __call__(self) -> bytes:
        body = next(self.left)
        moment = int(time.time())
        signature = hmac.new(
            self.secret.encode(), b"%d." % moment + body, hashlib.sha256
        ).hexdigest()
        return post(
            "/api/stripe/webhook",
            body,
            JSON,
            f"Stripe-Signature: t={moment},v1={signature}",
        )


def webhook(stand: Stand) -> Iterator[Finding]:
    """Webhook to order: signed events of paid sessions, beside the bare confirm."""
    for engine in ENGINES:
        with ExitStack() as stack:
            stripe = stack.enter_context(EmulatorServer())
            url = stack.enter_context(stand.database(engine, Fill()))
            fill = Fill(live=stand.sizes.rounds * stand.sizes.supply)
            other = stack.enter_context(stand.database(engine, fill))
            server = stack.enter_context(
                served(SHOP, url, stripe, stand.folder, workers=WORKERS)
            )
            yield _webhook(stand, engine, stripe, server, url, other)


def _webhook(
    stand: Stand,
    engine: str,
    stripe: EmulatorServer,
    server: Server,
    url: str,
    other: str,
) -> Finding:
    portion = stand.sizes.supply
    portions = (range(first, first + portion) for first in count(1, portion))
    floor = BARE if engine == POSTGRESQL else RAW

    def deliver() -> float:
        # The shop may find a payment by itself before its event comes.
        before = _orders(url)
        events = _pay(stand, stripe, server, url)
        load = Requests(
            server.port,
            Events(events, stripe.webhook_secret),
            CONNECTIONS,
            most=len(events) - 2 * CONNECTIONS,
        )
        outcome = stand.clients.run(load)
        if _orders(url) - before != len(events):
            raise AssertionError("an event became no order")
        return outcome.rate

    def confirm() -> float:
        ids = next(portions)
        if engine == POSTGRESQL:
            work = floors.Ending(other, postgres.CONFIRM, floors.sale, ids)
            return rate_of(stand, work, SIXTEEN)()
        raw = raw_sqlite.Ending(other, raw_sqlite.CONFIRM, ids)
        return rate_of(stand, raw, ALONE)()

    taken = stand.in_turn({ORDERS: deliver, floor: confirm}, what=f"webhook, {engine}")
    return Finding(
        what=ORDERS,
        engine=engine,
        clients=str(CONNECTIONS),
        unit="/s",
        measured=taken[ORDERS],
        floor=f"confirm, {floor}",
        floor_samples=taken[floor],
    )


def _pay(stand: Stand, stripe: EmulatorServer, server: Server, url: str) -> list[bytes]:
    """Check out and pay; return the events, which Stripe's stand-in sends nowhere."""
    stand.clients.run(
        Requests(server.port, checkout, CONNECTIONS, most=stand.sizes.payments)
    )
    with opened(url) as shop, shop.read() as session:
        names = session.scalars(
            select(Checkout.stripe_session_id).where(Checkout.status == PENDING)
        ).all()
    events: list[Any] = [stripe.pay(name)["event"] for name in names if name]
    return [json.dumps(event).encode() for event in events]


def _orders(url: str) -> int:
    with opened(url) as shop, shop.read() as session:
        return session.scalars(select(func.count()).select_from(Order)).one()
