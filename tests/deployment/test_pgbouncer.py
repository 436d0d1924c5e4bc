"""The shop behind PgBouncer in transaction mode: no connection is one's own."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from sqlalchemy import text

from core.clock import utcnow
from core.database.engine import Database, connect
from core.errors import InsufficientStockError
from core.models.checkout import CANCELLED, EXPIRED
from core.stock import reservations
from core.stock.reservations import Closed
from tests.deployment.conftest import CONNECTIONS
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    at_once,
    reserved,
    sold,
)

CLIENTS = 16
ROUNDS = 12
PRODUCTS = 4

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def database(pooled_url: str) -> Iterator[Database]:
    opened = connect(pooled_url)
    yield opened
    opened.engine.dispose()


def trade(database: Database, products: list[int], client: int) -> None:
    """Reserve carts of three products; sell one, cancel one, expire one, and so on."""
    for turn in range(client, client + ROUNDS):
        left_out = products[(turn + client) % PRODUCTS]
        cart = {product: 1 + turn % 2 for product in products if product != left_out}
        try:
            _trade_once(database, cart, turn=turn, name=f"{client}_{turn}")
        except InsufficientStockError:
            continue


def _trade_once(
    database: Database, cart: dict[int, int], *, turn: int, name: str
) -> None:
    now = utcnow()
    if turn % 3 == 0:
        sold(database, cart, now, session_id=f"cs_test_{name}")
        return
    status = CANCELLED if turn % 3 == 1 else EXPIRED
    checkout_id = reserved(database, cart, now)
    closed = Closed(status, "the test's")
    database.write(lambda s: reservations.end(s, checkout_id, closed, now=now))


def server_connections(database: Database) -> int:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name")
    name = database.engine.url.database
    return int(ask(database, lambda s: s.execute(query, {"name": name}).scalar_one()))


def test_many_clients_trade_over_few_connections(database: Database) -> None:
    products = [add_product(database, stock_units=60) for _ in range(PRODUCTS)]

    outcomes = at_once(
        [partial(trade, database, products, client) for client in range(CLIENTS)]
    )

    assert outcomes == [None] * CLIENTS
    assert server_connections(database) <= CONNECTIONS
    assert_invariants(database)


def test_a_client_that_prepares_statements_fails_behind_it(pooled_url: str) -> None:
    address = pooled_url.replace("+psycopg", "")
    with (
        psycopg.connect(address, autocommit=True, prepare_threshold=0) as one,
        psycopg.connect(address, autocommit=True, prepare_threshold=0) as other,
    ):
        one.execute("SELECT 1")
        with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
            other.execute("SELECT 1")


def test_two_migrations_at_once_through_it_make_one_schema(
    empty_pooled_url: str,
) -> None:
    both = [connect(empty_pooled_url) for _ in range(2)]

    outcomes = at_once([database.migrate for database in both])

    assert outcomes == [None, None]
    assert all(database.is_migrated() for database in both)
    for database in both:
        database.engine.dispose()
