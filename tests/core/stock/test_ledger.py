from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database.engine import Database
from core.errors import (
    InvalidQuantityError,
    ProductNotFoundError,
    StockAdjustmentError,
)
from core.models.stock import StockMovement
from core.stock import ledger
from tests.factories import add_product, assert_invariants, levels, reserved


def movements(database: Database, product_id: int) -> list[tuple[int, str, str, str]]:
    with database.read() as session:
        rows = session.execute(
            select(
                StockMovement.quantity,
                StockMovement.reason,
                StockMovement.note,
                StockMovement.who,
            )
            .where(StockMovement.product_id == product_id)
            .order_by(StockMovement.id)
        )
        return list(rows)


def test_receiving_raises_stock_and_says_so_in_the_ledger(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=5)

    new = database.write(
        lambda s: ledger.receive(s, mug, 7, note="pallet", who="marijke", now=now)
    )

    assert new == 12
    assert levels(database, mug) == (12, 0)
    assert movements(database, mug)[-1] == (7, "received", "pallet", "marijke")
    assert_invariants(database)


@pytest.mark.parametrize("difference", [3, -3])
def test_adjusting_corrects_a_count_up_or_down(
    database: Database, now: datetime, difference: int
) -> None:
    mug = add_product(database, stock_units=5)

    new = database.write(
        lambda s: ledger.adjust(s, mug, difference, note="count", who="ben", now=now)
    )

    assert new == 5 + difference
    assert movements(database, mug)[-1] == (difference, "adjusted", "count", "ben")
    assert_invariants(database)


def test_stock_may_fall_to_what_is_reserved(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=5)
    reserved(database, {mug: 2}, now)

    database.write(lambda s: ledger.adjust(s, mug, -3, note="broken", now=now))

    assert levels(database, mug) == (2, 2)
    assert_invariants(database)


def test_stock_never_falls_below_what_is_reserved(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=5)
    reserved(database, {mug: 2}, now)

    with pytest.raises(StockAdjustmentError) as refusal:
        database.write(lambda s: ledger.adjust(s, mug, -4, note="broken", now=now))

    error = refusal.value
    assert (error.stock, error.reserved, error.difference) == (5, 2, -4)
    assert levels(database, mug) == (5, 2)
    assert len(movements(database, mug)) == 1


@pytest.mark.parametrize("quantity", [0, -1])
def test_nothing_is_no_delivery(
    database: Database, now: datetime, quantity: int
) -> None:
    mug = add_product(database, stock_units=5)

    with pytest.raises(InvalidQuantityError) as refusal:
        database.write(lambda s: ledger.receive(s, mug, quantity, now=now))

    assert (refusal.value.product_id, refusal.value.quantity) == (mug, quantity)
    assert levels(database, mug) == (5, 0)


def test_a_difference_of_nothing_is_refused(database: Database, now: datetime) -> None:
    mug = add_product(database)

    with pytest.raises(InvalidQuantityError):
        database.write(lambda s: ledger.adjust(s, mug, 0, note="count", now=now))

    assert len(movements(database, mug)) == 1


def test_an_unknown_product_has_no_stock(database: Database, now: datetime) -> None:
    with pytest.raises(ProductNotFoundError) as receiving:
        database.write(lambda s: ledger.receive(s, 999, 1, now=now))
    with pytest.raises(ProductNotFoundError):
        database.write(lambda s: ledger.adjust(s, 999, -1, note="count", now=now))

    assert receiving.value.product_ids == (999,)


def test_stock_and_ledger_change_together_or_not_at_all(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=5)
    cup = add_product(database, stock_units=1)

    with pytest.raises(StockAdjustmentError):
        database.write(
            lambda s: (
                ledger.receive(s, mug, 3, now=now),
                ledger.adjust(s, cup, -2, note="count", now=now),
            )
        )

    assert levels(database, mug) == (5, 0)
    assert len(movements(database, mug)) == 1
    assert_invariants(database)


def test_the_ledger_adds_up_to_the_stock(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=5)

    def count(session: Session) -> None:
        for difference in (2, -1, 4, -3):
            ledger.adjust(session, mug, difference, note="count", now=now)

    database.write(count)

    assert levels(database, mug) == (7, 0)
    assert sum(quantity for quantity, *_ in movements(database, mug)) == 7
