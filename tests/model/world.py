"""
A shop, its Stripe and their clocks, moved one step at a time.

Stripe sends nothing by itself here: the messages lie there, and whoever drives the
world chooses which comes, when, how often and in what order, or that it never comes.
"""

import json
import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import requests
import stripe as package
from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.checkout import closing, events, expiry, payment_page, reconcile
from core.checkout.payment_page import Visitor
from core.config import Config
from core.database.engine import Database
from core.errors import ShopError
from core.mail import outbox
from core.mail.letter import Letter
from core.models.base import Base
from core.models.catalogue import Product
from core.models.checkout import EXPIRED, PENDING, Checkout
from core.models.mail import Mail
from core.models.refunds import REQUESTED, Refund
from core.offers import Offers
from core.payments.gateway import StripeGateway
from core.refunds import refunds, sending
from core.shop import Shop
from core.stock import ledger, reservations
from core.stock.reservations import Closed, Reserved, Terms
from tests.emulator import EmulatorServer
from tests.factories import FakeClock, add_product, at_once

Json = dict[str, Any]

NOBODY = 9  # the port of "discard", where nothing listens on a machine of today
CODES = {"HALF": 50, "ALL": 100}
KEY = {"Authorization": "Bearer sk_test_shop"}
PRODUCTS = 2
STOCK = 3
VISITORS = 3
OUTCOMES = ("succeed", "fail") * 100


@dataclass(frozen=True)
class Stumble:
    """A fault of Stripe at so many calls of a route; *kind* is with its status."""

    route: str
    kind: tuple[str, int]
    times: int


@dataclass
class World:
    """Everything that a rule may touch; made anew for each sequence."""

    shop: Shop
    stripe: EmulatorServer
    clock: FakeClock
    gateway: StripeGateway
    http: requests.Session
    products: list[int] = field(default_factory=list)
    received: int = PRODUCTS * STOCK
    # Pages that can be paid though nobody holds units for them.
    unheld: set[str] = field(default_factory=set)
    # The keys of letters, as often as they were sent.
    sent: list[str] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.shop.database

    def all(self, what: str) -> list[Json]:
        """Return all objects of a kind at Stripe, the oldest first."""
        url = f"{self.stripe.url}/v1/{what}"
        found: list[Json] = []
        params: dict[str, Any] = {"limit": 100}
        while True:
            answer = self.http.get(url, params=params, headers=KEY, timeout=30)
            answer.raise_for_status()
            page = answer.json()
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]
            params["starting_after"] = found[-1]["id"]

    def sessions(self) -> list[Json]:
        return self.all("checkout/sessions")

    def control(self, route: str, /, **body: Any) -> Any | None:
        """Do something at Stripe; None if Stripe refuses it."""
        url = f"{self.stripe.url}/_emulator/{route}"
        answer = self.http.post(url, json=body, timeout=30)
        if answer.status_code >= 500:
            answer.raise_for_status()
        return answer.json() if answer.ok else None

    def advance(self, **by: float) -> None:
        seconds = timedelta(**by).total_seconds()
        self.clock.advance(seconds=seconds)
        self.control("clock", advance=seconds)

    def check_out(self, visitor: int, cart: dict[int, int]) -> None:
        who = Visitor(f"visitor-{visitor}", "127.0.0.1", "nl")
        wanted = {self.products[number]: units for number, units in cart.items()}
        _tried(lambda: payment_page.begin(self.shop, wanted, visitor=who))

    def die_before_the_page(self, visitor: int, cart: dict[int, int]) -> None:
        """Reserve, and die before Stripe is asked."""
        self._reserved(visitor, cart)

    def die_before_the_page_is_noted(self, visitor: int, cart: dict[int, int]) -> None:
        """Reserve and have the page made, and die before its session is noted."""
        made = self._reserved(visitor, cart)
        if made is not None:
            terms, reserved = made
            request = closing.request_for(terms, reserved, self.shop.config.offer)
            _tried(lambda: self.shop.gateway.create(request))

    def _reserved(
        self, visitor: int, cart: dict[int, int]
    ) -> tuple[Terms, Reserved] | None:
        """Reserve as a checkout does, unless the visitor has an open page."""
        who = Visitor(f"visitor-{visitor}", "127.0.0.1", "nl")
        wanted = {self.products[number]: units for number, units in cart.items()}
        try:
            return payment_page._Attempt(
                self.shop,
                wanted,
                who,
                lambda _: "",
                unless_paid=False,
                seen={},
                give_up=math.inf,
            )._reserve_once()
        except (ShopError, IntegrityError):
            return None

    def turn_back(self, checkout_id: int, visitor: str) -> None:
        _tried(lambda: payment_page.cancel(self.shop, checkout_id, visitor))

    def come_back(self, session_id: str) -> None:
        _tried(lambda: events.settle_returned(self.shop, session_id))

    def deliver(self, event: Json, *, as_twin: bool) -> None:
        """Bring a message, signed as Stripe does; as a twin under another id."""
        if as_twin:
            event = {**event, "id": f"evt_{secrets.token_hex(8)}"}
        body = json.dumps(event)
        secret = self.stripe.webhook_secret
        at = int(self.clock().timestamp())
        signature = package.WebhookSignature.generate_signature_header(body, secret, at)
        _tried(lambda: self._take(body.encode(), signature))

    def _take(self, body: bytes, signature: str) -> None:
        event = self.shop.gateway.read_event(body, signature, self.clock())
        events.record_event(self.shop, event)

    def sweep(self) -> None:
        _tried(lambda: expiry.sweep(self.shop, everything=True))

    def reconcile(self) -> None:
        _tried(lambda: reconcile.reconcile(self.shop))

    def go_out(self) -> None:
        """Let Stripe be unreachable for the shop, though not for its customers."""
        nobody = StripeGateway(
            "sk_test_shop", "whsec_test", f"http://127.0.0.1:{NOBODY}"
        )
        self.shop = replace(self.shop, gateway=nobody)

    def come_up(self) -> None:
        self.shop = replace(self.shop, gateway=self.gateway)

    @contextmanager
    def stumbling(self, stumble: Stumble | None) -> Iterator[None]:
        """Let Stripe stumble; without a *stumble* it goes on."""
        if stumble is not None:
            kind, status = stumble.kind
            self.control(
                "faults",
                route=stumble.route,
                kind=kind,
                status=status,
                times=stumble.times,
            )
        yield
        self.control("faults/clear")

    def let_all_end(self) -> None:
        """Let time pass and the shop do what it does by itself; no message comes."""
        self.control("faults/clear")
        for session, outcome in zip(self.delayed(), OUTCOMES, strict=False):
            self.control(f"sessions/{session['id']}/settle", outcome=outcome)
        # What was paid weeks ago is looked for every six hours, and what goes back then
        # may take the bank a while, too.
        for hours in (1, 1, 7, 1, 7):
            pending = [r for r in self.all("refunds") if r["status"] == "pending"]
            for refund, outcome in zip(pending, OUTCOMES, strict=False):
                self.control(f"refunds/{refund['id']}/{outcome}")
            self.advance(hours=hours)
            self.sweep()
            self.reconcile()
        self.send_letters()

    def delayed(self) -> list[Json]:
        """Return the sessions whose bank has not decided yet."""
        return [
            session
            for session in self.sessions()
            if session["status"] == "complete" and session["payment_status"] == "unpaid"
        ]

    def page_of(self, visitor: int) -> tuple[int, str] | None:
        """Return the checkout of a visitor that can still be paid, and its page."""
        query = select(Checkout).where(
            Checkout.visitor == f"visitor-{visitor}",
            Checkout.status == PENDING,
            Checkout.stripe_session_id.is_not(None),
            ~Checkout.awaits_payment,
        )
        with self.database.read() as session:
            found = session.scalars(query).one_or_none()
        return (found.id, found.stripe_session_id or "") if found else None

    def available(self, number: int) -> int:
        with self.database.read() as session:
            product = session.get_one(Product, self.products[number])
        return product.stock - product.reserved

    def end_here_only(self, checkout_id: int, session_id: str) -> None:
        """Give units back whose page stays open, as in a database that was put back."""
        self.unheld.add(session_id)
        self.database.write_single(
            lambda session: reservations.end(
                session, checkout_id, Closed(EXPIRED, "ended by hand"), now=self.clock()
            )
        )

    def refund_again(self, refund_id: int) -> None:
        _tried(
            lambda: self.database.write(
                lambda session: refunds.request_again(
                    session, refund_id, who="owner", now=self.clock()
                )
            )
        )

    def die_in_a_refund(self, number: int) -> None:
        """Have a refund made, and die before its answer is noted."""
        with self.database.read() as session:
            query = select(Refund).where(Refund.status == REQUESTED).order_by(Refund.id)
            requested = session.scalars(query).all()
        if requested:
            refund = requested[number % len(requested)]
            # As the shop asks: one older than Stripe's memory of its key is looked up.
            _tried(lambda: sending._refunded(self.shop, refund))

    def copy_of(self, session_id: str) -> str | None:
        """Have Stripe make a copy of an expired page, which can be paid."""
        copy = self.control(f"sessions/{session_id}/recover")
        if copy is None:
            return None
        self.unheld.add(copy["id"])
        return str(copy["id"])

    def pay(self, session_id: str, method: str, *, code: str | None = None) -> None:
        # The shop's list of what not to offer may miss one.
        chosen = {"method": method, "forgotten": True}
        if code is not None:
            chosen["promotion_code"] = code
        self.control(f"sessions/{session_id}/pay", wait=False, **chosen)

    def messages_about(self, session_id: str) -> list[Json]:
        return [
            event
            for event in self.all("events")
            if event["data"]["object"]["id"] == session_id
        ]

    def tell_from_all_sides(self, session_id: str, messages: list[Json]) -> None:
        """Bring all messages about a session and its customer at once, and sweep."""
        calls: list[Callable[[], None]] = [
            lambda: self.come_back(session_id),
            self.sweep,
            self.reconcile,
            *(partial(self.deliver, event, as_twin=False) for event in messages * 2),
        ]
        _all_at_once(calls)

    def pay_while_swept(self, session_id: str) -> None:
        """Have a page paid and its hold ended at the same moment."""
        _all_at_once([partial(self.pay, session_id, "card"), self.sweep])

    def send_letters(self) -> None:
        """Let two senders at once go through the outbox."""
        _all_at_once([self._send_letters, self._send_letters])

    def _send_letters(self) -> None:
        def write(_session: Session, letter: Mail) -> Letter:
            self.sent.append(letter.key)
            return Letter(("klant@voorraad.example",), letter.key, "", "")

        outbox.send_due(self.shop, write)

    def die_with_a_letter(self) -> None:
        """Take the next letter to send, and die with it."""
        outbox._claim_one(self.shop)

    def receive(self, number: int, units: int) -> None:
        self.database.write(
            lambda session: ledger.receive(
                session, self.products[number], units, now=self.clock()
            )
        )
        self.received += units

    def restart(self, **offer: Any) -> None:
        """Start the shop with other settings for its pages."""
        config = self.shop.config
        changed = replace(config, offer=replace(config.offer, **offer))
        self.shop = replace(self.shop, config=changed, offers=Offers())


def _tried(call: Callable[[], object]) -> None:
    """Make a call that may be refused on purpose; what else it raises is a bug."""
    with suppress(ShopError):
        call()


def _all_at_once(calls: list[Callable[[], None]]) -> None:
    for outcome in at_once(calls):
        if isinstance(outcome, Exception):
            raise outcome


def made(config: Config, database: Database, stripe: EmulatorServer) -> World:
    """Make a world: an empty shop with stock, and a Stripe where nothing was sold."""
    stripe.reset()
    for code, percent_off in CODES.items():
        stripe.make_code(code, percent_off)
    _empty(database)
    now = stripe.look("clock")["now"]
    clock = FakeClock(datetime.fromtimestamp(int(now), tz=UTC))
    shop = replace(Shop.open(config, on=database), clock=clock)
    world = World(shop, stripe, clock, shop.gateway, requests.Session())
    for _ in range(PRODUCTS):
        world.products.append(
            add_product(database, stock_units=STOCK, now=clock() - timedelta(days=1))
        )
    return world


def _empty(database: Database) -> None:
    tables = list(reversed(Base.metadata.sorted_tables))
    with database.engine.begin() as connection:
        if database.is_sqlite:
            for table in tables:
                connection.execute(delete(table))
        else:
            names = ", ".join(table.name for table in tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
