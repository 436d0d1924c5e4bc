"""Situations for tests: a product with stock, a reserved cart, a clock that obeys."""

import itertools
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from core import doctor, reservations, stock
from core.database import Database
from core.models import Checkout, Product
from core.reservations import Terms

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
            stock.receive(session, product.id, stock_units, now=moment)
        return product.id

    return database.write(work)


def terms(now: datetime, *, visitor: str | None = None, minutes: float = 15) -> Terms:
    return Terms(
        visitor=visitor or secrets.token_hex(8),
        address="127.0.0.1",
        locale="nl",
        notice="",
        idempotency_key=secrets.token_hex(16),
        expires_at=now + timedelta(minutes=minutes),
        stripe_expires_at=now + timedelta(minutes=34),
    )


def reserved(
    database: Database, cart: dict[int, int], now: datetime, **options: object
) -> int:
    """Reserve *cart*; return the checkout's id."""
    agreed = terms(now, **options)  # type: ignore[arg-type]  # passed on as they are
    return database.write(
        lambda session: reservations.reserve(session, cart, agreed, now=now)
    )


def levels(database: Database, product_id: int) -> tuple[int, int]:
    """Return (stock, reserved) of a product."""
    with database.read() as session:
        product = session.get_one(Product, product_id)
        return product.stock, product.reserved


def status_of(database: Database, checkout_id: int) -> str:
    with database.read() as session:
        return session.get_one(Checkout, checkout_id).status


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
