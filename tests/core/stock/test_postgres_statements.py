"""
On PostgreSQL each change of a checkout is one statement, also where others interfere.

The interference is real: somebody else has taken a row and not yet committed, the
statement stands there and waits, and only then he goes on.
"""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg.pq import Trace
from sqlalchemy import Connection, create_engine, func, select, text

from core.database.engine import Database, Executor, connect
from core.errors import InsufficientStockError, Shortage
from core.models.checkout import CANCELLED, CONFIRMED, EXPIRED, PENDING, Checkout
from core.orders import orders
from core.stock import reservations
from core.stock.reservations import Closed
from tests.concurrency.watcher import deadlocks
from tests.factories import (
    add_product,
    assert_invariants,
    eventually,
    levels,
    orders_of,
    payment_of,
    reserved,
    status_of,
    terms,
)

pytestmark = pytest.mark.postgres

PATIENCE_SECONDS = 20
Change = Callable[[Executor, int, datetime], object]


@pytest.fixture
def database(fresh_postgres_url: str) -> Iterator[Database]:
    opened = connect(fresh_postgres_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def three(database: Database) -> list[int]:
    return [add_product(database) for _ in range(3)]


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Give threads for those who will have to wait."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


@contextmanager
def messages(database: Database) -> Iterator[list[str]]:
    """Give the list in which, at the end, all stands that went to the server."""
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    sent: list[str] = []
    with tempfile.TemporaryFile("w+") as trace:
        driver.pgconn.trace(trace.fileno())
        driver.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS | Trace.REGRESS_MODE)
        yield sent
        driver.pgconn.untrace()
        trace.seek(0)
        sent += [line.rstrip() for line in trace if line.startswith("F\t")]


def round_trips(sent: list[str]) -> int:
    """Count what had to be answered before anything else could be asked."""
    return sum(line.split("\t")[2] in ("Sync", "Query") for line in sent)


def attach(executor: Executor, checkout_id: int, now: datetime) -> object:
    session_id = f"cs_test_{checkout_id}"
    return reservations.attach(executor, checkout_id, session_id, now=now)


def cancel(executor: Executor, checkout_id: int, now: datetime) -> object:
    return reservations.end(executor, checkout_id, Closed(CANCELLED, "test"), now=now)


def expire(executor: Executor, checkout_id: int, now: datetime) -> object:
    return reservations.end(executor, checkout_id, Closed(EXPIRED, "test"), now=now)


def expire_all(executor: Executor, checkout_id: int, now: datetime) -> object:
    closed = Closed(EXPIRED, "test")
    return reservations.end_all(executor, [checkout_id], closed, now=now)


def sell(executor: Executor, checkout_id: int, now: datetime) -> object:
    payment = payment_of(f"cs_test_{checkout_id}", cents=3750)
    return orders.confirm(executor, checkout_id, payment, now=now)


@pytest.mark.parametrize("lines", [1, 3])
def test_a_cart_is_reserved_in_one_round_trip(
    database: Database, three: list[int], now: datetime, lines: int
) -> None:
    with messages(database) as sent:
        reserved(database, dict.fromkeys(three[:lines], 2), now)

    assert round_trips(sent) == 1
    assert [levels(database, each) for each in three[:lines]] == [(5, 2)] * lines


def looks_through_pending(database: Database) -> int:
    """Count how often the index of all PENDING checkouts was searched so far."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        searched = connection.exec_driver_sql(
            "SELECT idx_scan FROM pg_stat_user_indexes"
            " WHERE indexrelname = 'ix_checkout_due'"
        )
        return int(searched.scalar_one())


@pytest.mark.parametrize("change", [attach, cancel, expire, expire_all, sell])
def test_a_change_goes_to_its_checkout_and_does_not_look_through_the_others(
    database: Database, now: datetime, change: Change
) -> None:
    """A plan made in a quiet hour is kept in a rush, when thousands are PENDING."""
    mug = add_product(database, stock_units=20)
    before = looks_through_pending(database)

    for _ in range(10):  # the driver prepares, and the server keeps the plan
        checkout_id = reserved(database, {mug: 1}, now)
        with database.engine.connect() as connection:
            assert change(connection, checkout_id, now)

    assert looks_through_pending(database) == before


@pytest.mark.parametrize("change", [attach, cancel, expire, expire_all, sell])
@pytest.mark.parametrize("lines", [1, 3])
def test_a_checkout_is_changed_in_one_round_trip(
    database: Database, three: list[int], now: datetime, lines: int, change: Change
) -> None:
    checkout_id = reserved(database, dict.fromkeys(three[:lines], 1), now)

    with messages(database) as sent:
        changed = database.write_single(lambda e: change(e, checkout_id, now))

    assert changed
    assert round_trips(sent) == 1
    assert_invariants(database)


def test_many_checkouts_expire_in_one_round_trip(
    database: Database, three: list[int], now: datetime
) -> None:
    mug, cup, bowl = three
    carts: list[dict[int, int]] = [{mug: 1, cup: 1}, {cup: 1, bowl: 2}, {bowl: 1}]
    ids = [reserved(database, cart, now) for cart in carts]

    with messages(database) as sent:
        ended = database.write_single(
            lambda e: reservations.end_all(e, ids, Closed(EXPIRED, "test"), now=now)
        )

    assert sorted(ended) == ids
    assert round_trips(sent) == 1
    assert [levels(database, each) for each in three] == [(5, 0)] * 3
    assert_invariants(database)


def test_a_transaction_takes_the_round_trips_that_one_statement_saves(
    database: Database, three: list[int], now: datetime
) -> None:
    checkout_id = reserved(database, {three[0]: 1}, now)

    with messages(database) as sent:
        database.write(lambda session: cancel(session, checkout_id, now))

    assert round_trips(sent) == 3


@contextmanager
def somebody_else(database: Database) -> Iterator[Connection]:
    """Give a transaction of another connection; it commits at the end."""
    engine = create_engine(database.engine.url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def wait_for_waiters(database: Database, count: int) -> None:
    """Wait until as many stand before rows that somebody else has taken."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def stand() -> bool:
        with database.read() as session:
            return bool(session.scalar(waiting) == count)

    eventually(stand, seconds=PATIENCE_SECONDS)


class Tried:
    """Work that counts how often it was tried: a second try would hide a deadlock."""

    def __init__(self, work: Callable[[Executor], Any]) -> None:
        self.work, self.tries = work, 0

    def __call__(self, executor: Executor) -> Any:
        self.tries += 1
        return self.work(executor)


def begin(
    aside: ThreadPoolExecutor, database: Database, work: Callable[[Executor], Any]
) -> "tuple[Tried, Future[Any]]":
    tried = Tried(work)
    return tried, aside.submit(database.write_single, tried)


def reserving(
    cart: dict[int, int], now: datetime, visitor: str | None = None
) -> Callable[[Executor], Any]:
    agreed = terms(now, visitor=visitor)
    return lambda executor: reservations.reserve(executor, cart, agreed, now=now)


def count_checkouts(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count()).select_from(Checkout)).one()


@pytest.mark.parametrize("lines", [1, 3])
def test_units_that_go_after_the_first_look_are_told_as_a_shortage(
    database: Database,
    aside: ThreadPoolExecutor,
    three: list[int],
    now: datetime,
    lines: int,
) -> None:
    cart = dict.fromkeys(three[:lines], 2)
    last = three[lines - 1]

    with somebody_else(database) as connection:
        reserving({last: 4}, now)(connection)
        shopper, outcome = begin(aside, database, reserving(cart, now))
        wait_for_waiters(database, 1)

    with pytest.raises(InsufficientStockError) as refusal:
        outcome.result(PATIENCE_SECONDS)
    assert refusal.value.shortages == (Shortage(last, requested=2, available=1),)
    assert shopper.tries == 2
    assert count_checkouts(database) == 1
    assert levels(database, last) == (5, 4)
    assert_invariants(database)


@pytest.mark.parametrize("lines", [1, 3])
def test_units_that_stay_after_all_are_reserved(
    database: Database,
    aside: ThreadPoolExecutor,
    three: list[int],
    now: datetime,
    lines: int,
) -> None:
    cart = dict.fromkeys(three[:lines], 2)

    with somebody_else(database) as connection:
        reserving({three[0]: 3}, now)(connection)
        shopper, outcome = begin(aside, database, reserving(cart, now))
        wait_for_waiters(database, 1)

    assert len(outcome.result(PATIENCE_SECONDS).lines) == lines
    assert shopper.tries == 1
    assert levels(database, three[0]) == (5, 5)
    assert_invariants(database)


@pytest.mark.parametrize("lines", [1, 3])
def test_a_visitors_next_cart_waits_for_the_end_of_his_last_one(
    database: Database,
    aside: ThreadPoolExecutor,
    three: list[int],
    now: datetime,
    lines: int,
) -> None:
    cart = dict.fromkeys(three[:lines], 3)
    first = reserved(database, dict.fromkeys(three[:lines], 1), now, visitor="same")

    with somebody_else(database) as connection:
        # As a sweeper does: first the checkout's row, the products when that is had.
        connection.execute(text("UPDATE checkout SET retry_at = now()"))
        shopper, outcome = begin(aside, database, reserving(cart, now, "same"))
        wait_for_waiters(database, 1)
        assert cancel(connection, first, now)

    second = outcome.result(PATIENCE_SECONDS).checkout_id
    assert shopper.tries == 1
    assert deadlocks(database) == 0
    assert status_of(database, first) == CANCELLED
    assert status_of(database, second) == PENDING
    assert [levels(database, each) for each in three[:lines]] == [(5, 3)] * lines
    assert_invariants(database)


def test_an_end_that_waits_for_a_product_lets_the_next_cart_wait_behind_it(
    database: Database, aside: ThreadPoolExecutor, three: list[int], now: datetime
) -> None:
    first = reserved(database, dict.fromkeys(three, 1), now, visitor="same")
    cart = dict.fromkeys(reversed(three), 3)

    with somebody_else(database) as connection:
        connection.execute(text("UPDATE product SET name = 'renamed'"))
        ender, ended = begin(aside, database, lambda e: cancel(e, first, now))
        wait_for_waiters(database, 1)
        shopper, outcome = begin(aside, database, reserving(cart, now, "same"))
        wait_for_waiters(database, 2)

    assert ended.result(PATIENCE_SECONDS) is True
    second = outcome.result(PATIENCE_SECONDS).checkout_id
    assert (ender.tries, shopper.tries) == (1, 1)
    assert deadlocks(database) == 0
    assert status_of(database, second) == PENDING
    assert_invariants(database)


def test_a_batch_passes_over_whom_somebody_else_is_at(
    database: Database, aside: ThreadPoolExecutor, three: list[int], now: datetime
) -> None:
    ids = [reserved(database, {each: 1}, now) for each in three]

    with somebody_else(database) as connection:
        assert sell(connection, ids[1], now)
        _, outcome = begin(
            aside,
            database,
            lambda e: reservations.end_all(e, ids, Closed(EXPIRED, "test"), now=now),
        )
        ended = outcome.result(PATIENCE_SECONDS)

    assert sorted(ended) == [ids[0], ids[2]]
    assert [status_of(database, each) for each in ids] == [EXPIRED, CONFIRMED, EXPIRED]
    assert [levels(database, each) for each in three] == [(5, 0), (4, 0), (5, 0)]
    assert_invariants(database)


@pytest.mark.parametrize("late", [cancel, expire, sell, attach])
def test_whoever_waits_for_a_checkout_that_ends_changes_nothing(
    database: Database,
    aside: ThreadPoolExecutor,
    three: list[int],
    now: datetime,
    late: Change,
) -> None:
    checkout_id = reserved(database, dict.fromkeys(three, 1), now)

    with somebody_else(database) as connection:
        assert expire(connection, checkout_id, now)
        _, outcome = begin(aside, database, lambda e: late(e, checkout_id, now))
        wait_for_waiters(database, 1)

    assert outcome.result(PATIENCE_SECONDS) is False
    assert orders_of(database) == []
    assert status_of(database, checkout_id) == EXPIRED
    assert [levels(database, each) for each in three] == [(5, 0)] * 3
    assert_invariants(database)
