"""The floors on SQLite: the shop's statements, sent by the raw module."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.carts import Carts, new_terms
from benchmarks.clients import Caller, Part
from benchmarks.floors import cancellation, sale
from core.clock import utcnow
from core.database.engine import BUSY_TIMEOUT_MS
from core.stock import sqlite


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
        cart = dict.fromkeys(self.carts.draw(), 1)
        values = {
            **{key: str(value) for key, value in vars(terms).items()},
            "created_at": str(now),
            "cart": json.dumps(cart),
            "lines": len(cart),
        }
        connection.execute("BEGIN IMMEDIATE")
        ((values["checkout_id"],),) = _do(connection, sqlite.CHECKOUT, values)
        _do(connection, sqlite.CLAIM, values)
        _do(connection, sqlite.LINES, values)
        connection.execute("COMMIT")


def _do(
    connection: sqlite3.Connection, statement: str, values: dict[str, object]
) -> list[Any]:
    return connection.execute(statement, values).fetchall()


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


Statements = tuple[str, ...]
CANCEL: Statements = (sqlite.END, sqlite.END_LINES, sqlite.RELEASE)
CONFIRM: Statements = (
    sqlite.CONFIRM_CHECKOUT,
    sqlite.CONFIRM_LINES,
    sqlite.TAKE_OFF,
    sqlite.ORDER,
    sqlite.ORDER_LINES,
    sqlite.MOVEMENTS,
    sqlite.MAIL_ORDER,
)


@dataclass(frozen=True)
class Ending:
    """What shop.Ending does, by the raw module."""

    url: str
    statements: Statements
    checkout_ids: range

    @contextmanager
    def callers(self, threads: int, part: Part) -> Iterator[Sequence[Caller]]:
        ids = iter(self.checkout_ids[part.number :: part.of])
        with connected(self.url, threads) as connections:
            yield [partial(self._end, connection, ids) for connection in connections]

    def _end(self, connection: sqlite3.Connection, ids: Iterator[int]) -> None:
        checkout_id = next(ids)
        values = {
            **sale(checkout_id),
            **cancellation(checkout_id),
            "checkout_ids": f"[{checkout_id}]",
            "noted": f"{checkout_id}",
            "locale": "nl",
            "now": str(utcnow()),
        }
        connection.execute("BEGIN IMMEDIATE")
        for statement in self.statements:
            rows = _do(connection, statement, values)
            if statement == sqlite.ORDER:
                ((values["order_id"], _status),) = rows
        connection.execute("COMMIT")
