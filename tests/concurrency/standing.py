"""
A shop that is made to stand at one place, from outside.

At Stripe and at the mail server it stands because they let it wait, inside a change of
the database by a trap. Between a commit and the answer about it nothing can hold it, so
there the answer is never read: what a dead process thought is nowhere, and what counts
is the database and what others have heard.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import requests
from sqlalchemy import select, update
from stripe import WebhookSignature

from core.clock import utcnow
from core.database.engine import Database
from core.models.checkout import PENDING, Checkout, Reconciled
from core.models.mail import ORDER_MAIL, Mail
from core.models.orders import Order
from core.models.refunds import SENT, Refund
from tests.concurrency.rush import Answer, answers, rush
from tests.concurrency.traps import PostgresTrap, SqliteTrap, Trap
from tests.emulator import EmulatorServer
from tests.factories import COMPLETED, eventually, sessions_at
from tests.smtp import MailServer, Taken
from tests.storefront_server import StorefrontServer

SESSIONS = "/v1/checkout/sessions"
REFUNDS = "/v1/refunds"
HANGS_SECONDS = 60
JSON = {"Content-Type": "application/json"}
PATIENCE_SECONDS = 30
UNITS = 3


@dataclass(frozen=True)
class Found:
    """What was there when the storefront died; a step is proved by it."""

    pending: int = 0
    noted: int = 0
    """Checkouts that know their page."""
    pages: tuple[str, ...] = ()
    answered: int = 0
    """Customers who got the address of their page."""
    orders: int = 0
    told: int = 0
    """Payments of which Stripe has heard that they were recorded."""
    refunds: tuple[str, ...] = ()
    sent_back: int = 0
    letter: str = ""
    """The status of the letter that confirms the order, and how often it arrived."""
    arrived: int = 0


@dataclass
class Stage:
    """A shop with one product, Stripe, a mail server, and customers in threads."""

    storefront: StorefrontServer
    database: Database
    stripe: EmulatorServer
    mail: MailServer
    aside: ThreadPoolExecutor
    mug: int
    _asked: int = 0
    _trap: Trap | None = None
    _unheard: list[HTTPConnection] = field(default_factory=list)
    _shoppers: list[Future[list[Answer | Exception]]] = field(default_factory=list)

    def trap(self, change: str, table: str, condition: str) -> None:
        kind = SqliteTrap if self.database.is_sqlite else PostgresTrap
        self._trap = kind(self.database)
        self._trap.set(change, table, condition)

    def wait_in_trap(self) -> None:
        assert self._trap is not None
        self._trap.wait()

    def shopper(self, units: int = 1) -> None:
        """Send a customer to the checkout, and do not wait for his answer."""
        shopping = self.aside.submit(rush, self.storefront.url, [{self.mug: units}])
        self._shoppers.append(shopping)

    def page(self, units: int = 1) -> Answer:
        """Have a customer get his payment page."""
        self.shopper(units)
        (answer,) = answers(self._shoppers[-1].result())
        assert answer.status == 201, answer
        return answer

    def pay(self, page: Answer | str) -> dict[str, Any]:
        """Have a page paid, and return the event that Stripe sends about it."""
        session_id = page if isinstance(page, str) else page.body["stripe_session_id"]
        event: dict[str, Any] = self.stripe.pay(session_id, wait=False)["event"]
        return event

    def late_page(self, *, units_are_gone: bool = False) -> str:
        """
        Return a session that can be paid although its checkout has ended.

        It is the copy of a closed one that Stripe makes for whoever follows the link to
        recover it. If the units are to be gone, another customer has bought them all.
        """
        first = self.page()
        self._turn_back(first)
        if units_are_gone:
            self.pay(self.page(units=UNITS))
            self.wait_until(lambda found: found.letter == SENT)
        copy = self.stripe.recover(first.body["stripe_session_id"])
        return str(copy["id"])

    def _turn_back(self, page: Answer) -> None:
        answer = requests.get(
            f"{self.storefront.url}/checkout/cancel/{page.body['checkout_id']}",
            headers={"Cookie": page.cookie},
            timeout=PATIENCE_SECONDS,
        )
        assert answer.ok
        assert self.in_database().pending == 0

    def release_stripe(self) -> None:
        self.stripe.control("barriers/release")

    def hang(self, route: str, path: str) -> None:
        """Let Stripe take no notice of calls, once they are there."""
        self.stripe.fault(route, "hang", seconds=HANGS_SECONDS, times=0)
        self._asked = len(self.stripe.requests(path))

    def wait_for_call(self, path: str) -> None:
        eventually(lambda: len(self.stripe.requests(path)) > self._asked)

    def ask_in_vain(self, path: str, body: str, **headers: str) -> None:
        """Post *body* to the storefront, and never read its answer."""
        connection = HTTPConnection(urlsplit(self.storefront.url).netloc)
        self._unheard.append(connection)
        connection.request("POST", path, body.encode(), {**JSON, **headers})

    def report_in_vain(self, event: dict[str, Any]) -> None:
        """Report *event* as Stripe does, which then hears of nothing."""
        body = json.dumps(event)
        signed = WebhookSignature.generate_signature_header(
            body, self.stripe.webhook_secret, int(time.time())
        )
        self.ask_in_vain("/api/stripe/webhook", body, **{"Stripe-Signature": signed})

    def wait_until(self, is_so: Callable[[Found], bool]) -> None:
        """Wait until the database tells that *is_so*."""
        eventually(lambda: is_so(self.in_database()), seconds=PATIENCE_SECONDS)

    def kill(self) -> None:
        self.close()
        eventually(lambda: all(each.done() for each in self._shoppers))
        # What Stripe was told just before it has heard; else it finds nobody there.
        eventually(lambda: not self._is_being_told())

    def close(self) -> None:
        self.storefront.kill()
        for connection in self._unheard:
            connection.close()

    def let_commit(self) -> None:
        """Let the database finish what it was told by a process that is dead."""
        assert isinstance(self._trap, PostgresTrap)
        self._trap.let_commit()
        self._trap = None

    def let_go(self) -> None:
        """Take away all that held the storefront, and let it compare with Stripe."""
        if self._trap is not None:
            self._trap.clear()
        self.release_stripe()
        self.stripe.control("faults/clear")
        for step in ("DATA", "DOT"):
            self.mail.release(step)
        turn = update(Reconciled).values(taken_until=utcnow())
        self.database.write(lambda session: session.execute(turn))
        self.stripe.control("webhooks/release")

    def found(self) -> Found:
        told = [
            each
            for each in self.stripe.look("webhooks")["attempts"]
            if each["type"] == COMPLETED and each["status"] == 200
        ]
        got = [answers(each.result()) for each in self._shoppers if each.done()]
        arrived = [each for each in self.letters() if each.startswith("order-")]
        return replace(
            self.in_database(),
            pages=tuple(sorted(sessions_at(self.stripe).values())),
            answered=sum(map(len, got)),
            told=len(told),
            sent_back=len(refunds_at(self.stripe)),
            arrived=len(arrived),
        )

    def letters(self) -> list[str]:
        """Return the keys of the letters that have arrived."""
        return [key_of(each) for each in self.mail.letters]

    def in_database(self) -> Found:
        with self.database.read() as session:
            checkouts = session.scalars(select(Checkout)).all()
            letters = select(Mail.status).where(Mail.kind == ORDER_MAIL)
            return Found(
                pending=sum(each.status == PENDING for each in checkouts),
                noted=sum(each.stripe_session_id is not None for each in checkouts),
                orders=len(session.scalars(select(Order.id)).all()),
                refunds=tuple(session.scalars(select(Refund.status))),
                letter=" ".join(session.scalars(letters)),
            )

    def _is_being_told(self) -> bool:
        hooks = self.stripe.look("webhooks")
        tried = {each["event"] for each in hooks["attempts"]}
        waiting = [each for each in hooks["waiting"] if not each["held"]]
        return any(each["event"] not in tried for each in waiting)


def take_reconcile_turn(database: Database) -> None:
    """Keep the shop from comparing by itself, as if another process were at it."""
    now = utcnow()
    turn = Reconciled(
        id=1, until=now, looked_back_at=now, taken_until=now + timedelta(hours=1)
    )
    database.write(lambda session: session.add(turn))


def key_of(letter: Taken) -> str:
    """Return the key of a letter: its Message-ID begins with it."""
    return str(letter.message["Message-ID"]).strip("<").partition(".")[0]


def open_for(stripe: EmulatorServer) -> set[int]:
    """Return the checkouts that can be paid at Stripe."""
    rows = _listed(stripe, SESSIONS)
    return {int(r["client_reference_id"]) for r in rows if r["status"] == "open"}


def refunds_at(stripe: EmulatorServer) -> list[dict[str, Any]]:
    return _listed(stripe, REFUNDS)


def paid_at(stripe: EmulatorServer) -> list[str]:
    """Return the ids of all sessions that were paid."""
    rows = _listed(stripe, SESSIONS)
    return [row["id"] for row in rows if row["payment_status"] == "paid"]


def _listed(stripe: EmulatorServer, path: str) -> list[dict[str, Any]]:
    answer = requests.get(
        f"{stripe.url}{path}",
        params={"limit": 100},
        headers={"Authorization": "Bearer sk_test_shop"},
        timeout=PATIENCE_SECONDS,
    )
    answer.raise_for_status()
    listed: dict[str, Any] = answer.json()
    assert not listed["has_more"]
    rows: list[dict[str, Any]] = listed["data"]
    return rows
