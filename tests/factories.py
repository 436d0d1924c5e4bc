"""Situations for tests: a product with stock, a reserved cart, a clock that obeys."""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import stripe
from sqlalchemy import update
from sqlalchemy.orm import Session

from core.checkout import events, late_money, payment_page
from core.checkout.payment_page import PaymentPage, Visitor
from core.database.engine import Database
from core.maintenance import doctor
from core.models.catalogue import Product
from core.models.checkout import CUSTOMER, Checkout
from core.orders.views import OrderView
from core.owner import reports, to_dos
from core.owner.to_dos import ToDoView
from core.payments.data import Bill, Event, Payment
from core.refunds import views as refund_views
from core.refunds.views import RefundView
from core.shop import Shop
from core.stock import ledger, reservations
from core.stock.reservations import Terms
from tests.emulator import EmulatorServer

T = TypeVar("T")
COMPLETED = "checkout.session.completed"

_numbers = itertools.count(1)


class FakeClock:
    """The time stands until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


def add_product(
    database: Database,
    *,
    stock_units: int = 5,
    price_cents: int = 1250,
    name: str | None = None,
    now: datetime | None = None,
) -> int:
    """Create a product whose stock is in the ledger; return its id."""
    number = next(_numbers)
    moment = now or datetime.fromisoformat("2026-11-22T12:00:00+00:00")

    def work(session: Session) -> int:
        product = Product(
            slug=f"product-{number}",
            sku=f"SKU-{number}",
            name=name or f"Product {number}",
            price_cents=price_cents,
            handle=f"product-{number}",
            title=name or f"Product {number}",
            created_at=moment,
        )
        session.add(product)
        session.flush()
        if stock_units:
            ledger.receive(session, product.id, stock_units, now=moment)
        return product.id

    return database.write(work)


def terms(
    now: datetime,
    *,
    visitor: str | None = None,
    minutes: float = 15,
    kind: str = CUSTOMER,
    network: str = "",
) -> Terms:
    return Terms(
        visitor=visitor or secrets.token_hex(8),
        network=network,
        locale="nl",
        notice="",
        idempotency_key=secrets.token_hex(16),
        expires_at=now + timedelta(minutes=minutes),
        stripe_expires_at=now + timedelta(minutes=34),
        kind=kind,
    )


def reserved(
    database: Database, cart: dict[int, int], now: datetime, **options: object
) -> int:
    """Reserve *cart*; return the checkout's id."""
    agreed = terms(now, **options)  # type: ignore[arg-type]  # passed on as they are
    return database.write_single(
        lambda session: reservations.reserve(session, cart, agreed, now=now)
    ).checkout_id


def begin(
    shop: Shop, cart: dict[int, int], visitor: Visitor | None = None
) -> PaymentPage:
    """Check out *cart* as *visitor*, or as somebody new."""
    somebody = visitor or Visitor(secrets.token_hex(8), "127.0.0.1", "nl")
    return payment_page.begin(shop, cart, visitor=somebody)


def levels(database: Database, product_id: int) -> tuple[int, int]:
    """Return (stock, reserved) of a product."""
    with database.read() as session:
        product = session.get_one(Product, product_id)
        return product.stock, product.reserved


def status_of(database: Database, checkout_id: int) -> str:
    with database.read() as session:
        return session.get_one(Checkout, checkout_id).status


def forget_session(shop: Shop, page: PaymentPage) -> None:
    """Leave the checkout as a crash between Stripe's answer and our commit does."""
    shop.database.write(
        lambda session: session.execute(
            update(Checkout)
            .where(Checkout.id == page.checkout_id)
            .values(stripe_session_id=None)
        )
    )


def assert_invariants(database: Database) -> None:
    """Fail with the doctor's words if counters, rows and ledger differ."""
    with database.read() as session:
        findings = doctor.examine(session)

    assert findings == []


def eventually(condition: Callable[[], object], *, seconds: float = 20) -> None:
    """Wait until *condition* holds; fail if it does not within *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def bought(shop: Shop, server: EmulatorServer, cart: dict[int, int]) -> OrderView:
    """Check out *cart*, pay for it at Stripe and hear of it; return the order."""
    page = begin(shop, cart)
    server.pay(page.stripe_session_id)
    events.record_event(shop, event_about(page, number=page.checkout_id))
    newest, *_ = orders_of(shop.database)
    return newest


def to_dos_of(database: Database) -> list[ToDoView]:
    """Return the owner's open entries, the oldest first."""
    with database.read() as session:
        return to_dos.entries(session)


def orders_of(database: Database) -> list[OrderView]:
    with database.read() as session:
        return reports.orders(session)


def sessions_at(server: EmulatorServer) -> dict[str, str]:
    """Return the status of every session at Stripe, by id."""
    client = stripe.StripeClient("sk_test_shop", base_addresses={"api": server.url})
    listed = client.v1.checkout.sessions.list({"limit": 100})
    return {each.id: each.status or "" for each in listed.auto_paging_iter()}


def open_sessions(server: EmulatorServer) -> list[str]:
    return [key for key, status in sessions_at(server).items() if status == "open"]


def form_of(request: dict[str, Any]) -> dict[str, str]:
    """Return the form of a recorded request, by its field names."""
    return dict(parse_qsl(request["body"], keep_blank_values=True))


def at_once(calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Make all *calls* in threads let go together; return answers and errors."""
    gate = threading.Barrier(len(calls))

    def call(one: Callable[[], T]) -> T | Exception:
        gate.wait()
        try:
            return one()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as callers:
        return list(callers.map(call, calls))


def ask(database: Database, question: Callable[[Session], T]) -> T:
    with database.read() as session:
        return question(session)


def change(database: Database, product_id: int, **values: object) -> None:
    database.write(
        lambda s: s.execute(
            update(Product).where(Product.id == product_id).values(**values)
        )
    )


def sold(
    database: Database,
    cart: dict[int, int],
    now: datetime,
    *,
    session_id: str = "cs_test_1",
    name: str = "Marijke de Vries",
    cents: int = 1250,
) -> int:
    """Sell *cart*; return the checkout's id."""
    checkout_id = reserved(database, cart, now)
    payment = payment_of(session_id, cents=cents, name=name)
    database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, payment, now=now)
    )
    return checkout_id


def payment_of(
    session_id: str = "cs_test_1",
    *,
    cents: int = 1250,
    name: str = "Marijke de Vries",
    email: str = "m@shop.example",
    intent: str | None = "pi_1",
) -> Payment:
    """Return a payment of *cents* for goods of as much."""
    bill = Bill(
        subtotal_cents=cents,
        total_cents=cents,
        currency="eur",
        customer_name=name,
        customer_email=email,
    )
    return Payment(session_id, intent, bill)


def event_about(page: PaymentPage, kind: str = COMPLETED, number: int = 1) -> Event:
    return Event(
        id=f"evt_{number}",
        type=kind,
        object_id=page.stripe_session_id,
        reference=str(page.checkout_id),
        checkout_key="",
    )


def refunds_of(shop: Shop) -> list[RefundView]:
    with shop.database.read() as session:
        return refund_views.refunds(session)
