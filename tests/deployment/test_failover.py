"""A primary that dies, a standby that takes over, and a shop that knows both."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url, select
from sqlalchemy.exc import OperationalError

from core.clock import utcnow
from core.config import Config
from core.database.engine import Database, connect
from core.models.checkout import Checkout
from tests import postgres
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    eventually,
    levels,
    reserved,
)
from tests.own_databases import OwnDatabases
from tests.postgres import Server

SHOPPERS = 4
ENOUGH = 100
TRIES = 3

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@dataclass(frozen=True)
class Pair:
    """Two servers; whatever the primary acknowledges the standby has, too."""

    primary: Server
    standby: Server

    @property
    def address(self) -> str:
        hosts = [f"host=127.0.0.1:{each.port}" for each in (self.primary, self.standby)]
        return f"postgresql://postgres@/postgres?{'&'.join(hosts)}"

    def fail_over(self) -> None:
        self.primary.kill()
        tell(self.standby, "SELECT pg_promote()")


def tell(server: Server, command: str) -> Any:
    """Give one command to the server itself; return the first value of its answer."""
    address = f"{server.address}/postgres".replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(command.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@pytest.fixture
def pair(postgres_server: str, tmp_path: Path) -> Iterator[Pair]:
    settings = {"fsync": "off", "full_page_writes": "off"}
    with postgres.quick_folder(tmp_path) as folder:
        made = Pair(*(Server(folder / name, settings) for name in ("one", "two")))
        try:
            made.primary.initialise()
            made.primary.start()
            made.standby.copy(made.primary)
            made.standby.start()
            _wait_for_each_other(made)
            yield made
        finally:
            made.standby.remove()
            made.primary.remove()


def _wait_for_each_other(pair: Pair) -> None:
    # On the primary alone: a promoted standby that waits for another would hang.
    tell(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    tell(pair.primary, "SELECT pg_reload_conf()")
    state = "SELECT max(sync_state) FROM pg_stat_replication"
    eventually(lambda: tell(pair.primary, state) == "sync")


@pytest.fixture
def config(pair: Pair, tmp_path: Path) -> Config:
    return Config.from_env({"DATABASE_URL": pair.address, "DATA_DIR": str(tmp_path)})


@pytest.fixture
def new_database(config: Config) -> Iterator[Callable[[], Database]]:
    """Give what every process of the shop has: a pool of connections of its own."""
    opened: list[Database] = []

    def open_one() -> Database:
        opened.append(connect(config.database_url))
        return opened[-1]

    yield open_one
    for database in opened:
        database.engine.dispose()


def tries_to_reserve(database: Database, product_id: int) -> int:
    """Reserve a unit in a few tries at most; tell how many it took."""
    for tries in range(1, TRIES + 1):
        try:
            reserved(database, {product_id: 1}, utcnow())
        except OperationalError:
            continue
        return tries
    raise AssertionError(f"nothing could be reserved in {TRIES} tries")


def test_the_shop_goes_on_with_the_standby_and_has_lost_nothing(
    pair: Pair, new_database: Callable[[], Database]
) -> None:
    busy, idle = new_database(), new_database()
    busy.migrate()
    mug = add_product(busy, stock_units=1_000_000)
    tries_to_reserve(idle, mug)
    acknowledged: list[int] = []
    is_over = threading.Event()

    def shop() -> None:
        while not is_over.is_set():
            with suppress(OperationalError):
                acknowledged.append(reserved(busy, {mug: 1}, utcnow()))

    with ThreadPoolExecutor(SHOPPERS) as shoppers:
        shopping = [shoppers.submit(shop) for _ in range(SHOPPERS)]
        try:
            eventually(lambda: len(acknowledged) >= ENOUGH)
            pair.fail_over()
        finally:
            is_over.set()

    assert [each.exception() for each in shopping] == [None] * SHOPPERS
    tries_to_reserve(busy, mug)
    assert tries_to_reserve(idle, mug) == 1
    stored = set(ask(busy, lambda session: session.scalars(select(Checkout.id)).all()))
    assert set(acknowledged) <= stored
    assert_invariants(busy)


def test_of_two_servers_the_one_that_takes_writes_is_found_wherever_it_stands(
    pair: Pair, new_database: Callable[[], Database], tmp_path: Path
) -> None:
    new_database().migrate()
    hosts = f"host=127.0.0.1:{pair.standby.port}&host=127.0.0.1:{pair.primary.port}"
    standby_first = f"postgresql://postgres@/postgres?{hosts}"
    config = Config.from_env({"DATABASE_URL": standby_first, "DATA_DIR": str(tmp_path)})

    database = connect(config.database_url)

    mug = add_product(database, stock_units=1)
    assert tries_to_reserve(database, mug) == 1
    database.engine.dispose()


def test_a_server_that_does_not_answer_is_passed_over(
    local_databases: OwnDatabases, tmp_path: Path
) -> None:
    address = make_url(local_databases.create())
    # It takes connections and then says nothing, as a machine does that hangs.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = [silent.getsockname()[1], address.port]
        query = {
            "host": [f"127.0.0.1:{port}" for port in hosts],
            "connect_timeout": "2",
        }
        both = address.set(host=None, port=None).update_query_dict(query)
        told = both.render_as_string(hide_password=False)
        config = Config.from_env({"DATABASE_URL": told, "DATA_DIR": str(tmp_path)})
        database = connect(config.database_url)

        mug = add_product(database, stock_units=1)

        assert levels(database, mug) == (1, 0)
        database.engine.dispose()
