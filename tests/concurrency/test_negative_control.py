"""
That a rule is needed, and that ours is one.

The naive ways run in the very rig in which the shop's own way sells exactly what there
is. If they did not oversell there, the rig would prove nothing.
"""

import pytest
from sqlalchemy import func, select

from core.database.engine import Database, connect
from core.maintenance import doctor
from core.models.checkout import PENDING
from core.models.stock import StockReservation
from tests.concurrency.buyers import (
    BUYERS,
    by_for_update,
    by_read_then_write,
    sell,
)
from tests.factories import add_product, assert_invariants, levels

pytestmark = pytest.mark.slow

STOCK = 5
# One more than the naive way needs to sell every unit to everybody.
ROUNDS = STOCK + 1


def promised(database: Database, product_id: int) -> int:
    """Add up the units that customers were promised."""
    with database.read() as session:
        return session.scalars(
            select(func.coalesce(func.sum(StockReservation.quantity), 0)).where(
                StockReservation.product_id == product_id,
                StockReservation.status == PENDING,
            )
        ).one()


def test_the_rule_sells_exactly_what_there_is(
    database: Database, database_url: str
) -> None:
    mug = add_product(database, stock_units=STOCK)

    sales = sell(database_url, {mug: 1}, rounds=ROUNDS)

    assert sales.errors == ()
    assert sales.sold == promised(database, mug) == STOCK
    assert levels(database, mug) == (STOCK, STOCK)
    assert_invariants(database)


def test_read_then_write_oversells_in_the_same_rig(
    database: Database, database_url: str
) -> None:
    mug = add_product(database, stock_units=STOCK)

    sales = sell(database_url, {mug: 1}, rounds=ROUNDS, way=by_read_then_write)

    assert sales.errors == ()
    assert sales.sold == promised(database, mug) == BUYERS * STOCK
    with database.read() as session:
        findings = doctor.examine(session)
    assert [finding.kind for finding in findings] == ["reserved"]


def test_for_update_guards_nothing_on_sqlite(sqlite_url: str) -> None:
    database = connect(sqlite_url)
    mug = add_product(database, stock_units=STOCK)

    sales = sell(sqlite_url, {mug: 1}, rounds=ROUNDS, way=by_for_update)

    assert sales.errors == ()
    assert sales.sold == promised(database, mug) == BUYERS * STOCK
    database.engine.dispose()
