"""Carts with the same products in opposite order, from many processes at once."""

import pytest

from core.database.engine import Database
from tests.concurrency.buyers import BUYERS, sell
from tests.concurrency.watcher import deadlocks
from tests.factories import add_product, assert_invariants, levels

pytestmark = pytest.mark.slow

ROUNDS = 10


@pytest.mark.daily_on("postgres")
def test_carts_in_opposite_order_are_all_sold(
    database: Database, database_url: str
) -> None:
    everything = BUYERS * ROUNDS
    mug = add_product(database, stock_units=everything)
    plate = add_product(database, stock_units=everything)

    sales = sell(database_url, {mug: 1, plate: 1}, {plate: 1, mug: 1}, rounds=ROUNDS)

    assert sales.errors == ()
    assert sales.sold == everything
    assert levels(database, mug) == levels(database, plate) == (everything, everything)
    assert deadlocks(database) == 0
    assert_invariants(database)


@pytest.mark.daily_on("sqlite")
def test_of_opposite_carts_the_scarcer_product_decides(
    database: Database, database_url: str
) -> None:
    mug = add_product(database, stock_units=70)
    plate = add_product(database, stock_units=50)

    sales = sell(database_url, {mug: 1, plate: 1}, {plate: 1, mug: 1}, rounds=ROUNDS)

    assert sales.errors == ()
    assert sales.sold == 50
    assert levels(database, mug) == (70, 50)
    assert levels(database, plate) == (50, 50)
    assert_invariants(database)
