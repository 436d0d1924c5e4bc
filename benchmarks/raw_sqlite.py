"""The floors on SQLite: what the shop does there, by the raw module and by hand."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from benchmarks.carts import Carts, new_terms
from benchmarks.clients import Caller, Part
from benchmarks.shop import payment_of
from core.clock import utcnow
from core.database import BUSY_TIMEOUT_MS

CHECKOUT = """
    INSERT INTO checkout (visitor, address, locale, notice, idempotency_key, expires_at,
                          stripe_expires_at, created_at)
    VALUES (:visitor, :address, :locale, :notice, :idempotency_key, :expires_at,
            :stripe_expires_at, :created_at) RETURNING id"""
CLAIM = """
    UPDATE product SET reserved = reserved + 1
    WHERE id = ? AND is_listed AND stock - reserved >= 1
    RETURNING price_cents, currency, vat_bp, name"""
LINE = """
    INSERT INTO stock_reservation (checkout_id, product_id, quantity, unit_price_cents,
                                   currency, vat_bp, product_name, expires_at)
    VALUES (?, ?, 1, ?, ?, ?, ?, ?)"""


@dataclass(frozen=True)
class Reserve:
    """What shop.Reserve does, by the raw module, every client on its own."""

    url: str
    carts: Carts

    @contextmanager
    def callers(self, threads: int, _part: Part) -> Iterator[Sequence[Caller]]:
        with connected(self.url, threads) as connections:
            yield [
                partial(self._reserve, connection, new_terms())
                for connection in connections
            ]

    def _reserve(self, connection: sqlite3.Connection, make: Callable[[], Any]) -> None:
        terms, now = make()
        values = {
            key: str(value) for key, value in {**vars(terms), "created_at": now}.items()
        }
        connection.execute("BEGIN IMMEDIATE")
        ((checkout_id,),) = connection.execute(CHECKOUT, values).fetchall()
        for product_id in self.carts.draw():
            (product,) = connection.execute(CLAIM, (product_id,)).fetchall()
            connection.execute(
                LINE, (checkout_id, product_id, *product, values["expires_at"])
            )
        connection.execute("COMMIT")


@contextmanager
def connected(url: str, count: int) -> Iterator[list[sqlite3.Connection]]:
    path = url.removeprefix("sqlite:///")
    with ExitStack() as stack:
        connections = [
            stack.enter_context(
                closing(
                    sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                )
            )
            for _ in range(count)
        ]
        for connection in connections:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
        yield connections


CANCEL = (
    """UPDATE checkout SET status = 'CANCELLED', cause = 'hold over', closed_at = :now,
                           awaits_payment = false
       WHERE id = :id AND status = 'PENDING'""",
    "UPDATE stock_reservation SET status = 'CANCELLED' WHERE checkout_id = :id",
    """UPDATE product SET reserved = reserved - line.quantity
       FROM stock_reservation AS line
       WHERE line.checkout_id = :id AND product.id = line.product_id""",
)
SELL = (
    """UPDATE checkout SET status = 'CONFIRMED', cause = 'paid', closed_at = :now,
                           awaits_payment = false
       WHERE id = :id AND status = 'PENDING'""",
    """UPDATE stock_reservation
       SET status = 'CONFIRMED', stripe_session_id = :stripe_session_id
       WHERE checkout_id = :id""",
    """UPDATE product SET stock = stock - line.quantity,
                          reserved = reserved - line.quantity
       FROM stock_reservation AS line
       WHERE line.checkout_id = :id AND product.id = line.product_id""",
    """INSERT INTO orders (checkout_id, stripe_session_id, payment_intent, token,
                           currency, amount_cents, promised_currency, promised_cents,
                           customer_name, customer_email, created_at)
       VALUES (:id, :stripe_session_id, :payment_intent, :stripe_session_id, :currency,
               :amount_cents, :currency, :amount_cents, :customer_name,
               :customer_email, :now)""",
    """INSERT INTO order_line (order_id, product_id, product_name, quantity,
                               unit_price_cents, vat_bp)
       SELECT orders.id, product_id, product_name, quantity, unit_price_cents, vat_bp
       FROM stock_reservation AS line JOIN orders USING (checkout_id)
       WHERE line.checkout_id = :id""",
    """INSERT INTO stock_movement (product_id, quantity, reason, order_id, created_at)
       SELECT product_id, -quantity, 'sold', orders.id, :now
       FROM stock_reservation AS line JOIN orders USING (checkout_id)
       WHERE line.checkout_id = :id""",
)


@dataclass(frozen=True)
class Ending:
    """What shop.Ending does, by the raw module."""

    url: str
    statements: tuple[str, ...]
    checkout_ids: range

    @contextmanager
    def callers(self, threads: int, part: Part) -> Iterator[Sequence[Caller]]:
        ids = iter(self.checkout_ids[part.number :: part.of])
        with connected(self.url, threads) as connections:
            yield [partial(self._end, connection, ids) for connection in connections]

    def _end(self, connection: sqlite3.Connection, ids: Iterator[int]) -> None:
        checkout_id = next(ids)
        values = {
            **asdict(payment_of(checkout_id)),
            "id": checkout_id,
            "now": str(utcnow()),
        }
        connection.execute("BEGIN IMMEDIATE")
        for statement in self.statements:
            connection.execute(statement, values)
        connection.execute("COMMIT")
