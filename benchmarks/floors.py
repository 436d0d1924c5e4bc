"""
The floors on PostgreSQL: the shop's statements, sent by the bare driver and pgbench.

The texts come from core, so that both sides always send the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.carts import Carts, new_terms
from benchmarks.clients import Caller, Part
from benchmarks.load import HOT, PRODUCTS
from benchmarks.shop import payment_of
from core.clock import utcnow
from core.models.checkout import CANCELLED
from core.stock import postgres

# A token that begins with the time, as the shop's own do.
UNIQUE_TEXT = (
    "(to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS')"
    " || left(md5(random()::text || :client_id), 12))"
)
A_DAY_ON = "(now() + interval '1 day')"


@contextmanager
def connected(url: str, count: int) -> Iterator[list[psycopg.Connection]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
            )
            for _ in range(count)
        ]


def reserve_statement(carts: Carts) -> str:
    return postgres.RESERVE_ONE if carts.lines == 1 else postgres.RESERVE_MANY


def lines_of(product_ids: Sequence[int]) -> dict[str, object]:
    if len(product_ids) == 1:
        return {"product_id": product_ids[0], "quantity": 1}
    return {
        "product_ids": list(product_ids),
        "quantities": [1] * len(product_ids),
        "lines": len(product_ids),
    }


@dataclass(frozen=True)
class Reserve:
    """What shop.Reserve does, by the bare driver."""

    url: str
    carts: Carts

    @contextmanager
    def callers(self, threads: int, _part: Part) -> Iterator[Sequence[Caller]]:
        statement = reserve_statement(self.carts)
        with connected(self.url, threads) as all_of_them:
            yield [
                partial(self._reserve, connection, statement, new_terms())
                for connection in all_of_them
            ]

    def _reserve(
        self,
        connection: psycopg.Connection,
        statement: str,
        make: Callable[[], Any],
    ) -> None:
        terms, now = make()
        values = {**vars(terms), "created_at": now, **lines_of(self.carts.draw())}
        connection.execute(statement, values).fetchall()


Values = Callable[[int], dict[str, object]]


def sale(checkout_id: int) -> dict[str, object]:
    payment = payment_of(checkout_id)
    return {
        **vars(payment.bill),
        "amount_cents": payment.bill.total_cents,
        "adds_up": payment.bill.adds_up,
        "stripe_session_id": payment.stripe_session_id,
        "payment_intent": payment.payment_intent,
        "event_id": "",
        "event_type": "",
        "event_effect": "",
        "checkout_id": checkout_id,
        "token": f"{checkout_id:032}",
        "was_late": False,
        "cause": "paid",
    }


def cancellation(checkout_id: int) -> dict[str, object]:
    ended = {"status": CANCELLED, "cause": "hold over", "is_unpaid": True}
    return {"checkout_id": checkout_id, **ended}


@dataclass(frozen=True)
class Ending:
    """What shop.Ending does, by the bare driver."""

    url: str
    statement: str
    values: Values
    checkout_ids: range

    @contextmanager
    def callers(self, threads: int, part: Part) -> Iterator[Sequence[Caller]]:
        ids = iter(self.checkout_ids[part.number :: part.of])
        with connected(self.url, threads) as all_of_them:
            yield [partial(self._end, connection, ids) for connection in all_of_them]

    def _end(self, connection: psycopg.Connection, ids: Iterator[int]) -> None:
        values = {**self.values(next(ids)), "now": utcnow()}
        connection.execute(self.statement, values).fetchall()


def reserve_script(path: Path, carts: Carts) -> Path:
    """Write the same for pgbench; prepared, what varies is sent as a parameter."""
    room = PRODUCTS // carts.lines
    names = [f"product_{number}" for number in range(carts.lines)]
    drawn = [
        f"\\set {name} {HOT}"
        if carts.is_hot
        else f"\\set {name} random({number * room + 1}, {(number + 1) * room})"
        for number, name in enumerate(names)
    ]
    terms, now = new_terms()()
    varying = {
        "visitor": UNIQUE_TEXT,
        "idempotency_key": f"'checkout-' || {UNIQUE_TEXT}",
        "created_at": "now()",
        "expires_at": A_DAY_ON,
        "stripe_expires_at": A_DAY_ON,
        "product_id": f":{names[0]}",
        "product_ids": f"ARRAY[{', '.join(f':{name}' for name in names)}]",
    }
    values = {**vars(terms), "created_at": now, **lines_of(range(1, carts.lines + 1))}
    return _script(path, drawn, reserve_statement(carts), values, varying)


def _script(
    path: Path,
    drawn: Sequence[str],
    statement: str,
    values: Mapping[str, object],
    varying: Mapping[str, str],
) -> Path:
    literals = {
        name: varying[name] if name in varying else sql.quote(value)
        for name, value in values.items()
    }
    one_line = " ".join((statement % literals).split())
    path.write_text("\n".join([*drawn, f"{one_line};", ""]))
    return path
