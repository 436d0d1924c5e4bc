from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.checkout import late_money
from core.database.engine import Database, connect
from core.maintenance import doctor
from core.maintenance.doctor import Finding
from core.models.checkout import CANCELLED
from core.models.stock import StockMovement
from core.stock import reservations
from core.stock.reservations import Closed
from tests.core.money_back import fail, order_in, request
from tests.factories import (
    add_product,
    ask,
    eventually,
    levels,
    payment_of,
    reserved,
)

PAYMENT = payment_of()


def findings(database: Database) -> list[Finding]:
    with database.read() as session:
        return doctor.examine(session)


def run(database: Database, statement: str) -> None:
    """Change a table behind the shop's back."""
    with database.engine.begin() as connection:
        connection.execute(text(statement))


@pytest.fixture
def mug(database: Database, now: datetime) -> int:
    """Give a product of which one unit was sold, one is held and two came back."""
    product_id = add_product(database, stock_units=5, name="Mug")
    sold = reserved(database, {product_id: 1}, now)
    database.write(lambda s: late_money.confirm_or_retake(s, sold, PAYMENT, now=now))
    back = reserved(database, {product_id: 2}, now)
    database.write(
        lambda s: reservations.end(s, back, Closed(CANCELLED, "test"), now=now)
    )
    reserved(database, {product_id: 1}, now)
    return product_id


def test_a_shop_in_order_has_no_findings(database: Database, mug: int) -> None:
    assert findings(database) == []


def test_an_empty_shop_has_no_findings(database: Database) -> None:
    assert findings(database) == []


def test_units_reserved_for_nobody_are_found(database: Database, mug: int) -> None:
    run(database, "UPDATE product SET reserved = 3")

    (finding,) = findings(database)
    assert finding.kind == "reserved"
    assert finding.subject == f"product {mug} (Mug)"
    assert "reserved is 3" in finding.explanation
    assert "add up to 1" in finding.explanation


def test_a_reservation_that_is_not_counted_is_found(
    database: Database, mug: int
) -> None:
    run(database, "UPDATE product SET reserved = 0")

    (finding,) = findings(database)
    assert finding.kind == "reserved"


def test_stock_without_a_movement_is_found(database: Database, mug: int) -> None:
    run(database, "UPDATE product SET stock = 9")

    (finding,) = findings(database)
    assert (finding.kind, finding.subject) == ("stock", f"product {mug} (Mug)")
    assert "stock is 9" in finding.explanation
    assert "add up to 4" in finding.explanation


def test_stock_that_never_had_a_movement_is_found(database: Database) -> None:
    add_product(database, stock_units=0)
    run(database, "UPDATE product SET stock = 1")

    (finding,) = findings(database)
    assert finding.kind == "stock"


def test_a_movement_that_was_taken_away_is_found(database: Database, mug: int) -> None:
    run(database, "DELETE FROM stock_movement WHERE reason = 'sold'")

    (finding,) = findings(database)
    assert finding.kind == "stock"


def test_a_cart_that_is_half_ended_is_found(database: Database, mug: int) -> None:
    run(
        database,
        "UPDATE stock_reservation SET status = 'EXPIRED' WHERE status = 'CANCELLED'",
    )

    (finding,) = findings(database)
    assert finding.kind == "status"
    assert finding.explanation == "it is EXPIRED, its checkout is CANCELLED"


def test_a_confirmed_checkout_without_an_order_is_found(
    database: Database, mug: int
) -> None:
    run(database, "UPDATE stock_movement SET order_id = NULL")
    run(database, "DELETE FROM order_line")
    run(database, "DELETE FROM orders")

    (finding,) = findings(database)
    assert finding.kind == "order"
    assert finding.explanation == "it is CONFIRMED and has no order"


def test_an_order_of_a_checkout_that_was_not_confirmed_is_found(
    database: Database, mug: int
) -> None:
    run(
        database,
        "UPDATE checkout SET status = 'CANCELLED' WHERE status = 'CONFIRMED'",
    )

    assert {finding.kind for finding in findings(database)} == {"status", "order"}


def test_examining_repairs_nothing(database: Database, mug: int) -> None:
    run(database, "UPDATE product SET stock = 9, reserved = 3")

    first, second = findings(database), findings(database)

    assert first == second
    assert len(first) == 2


def repair(database: Database, now: datetime) -> list[Finding]:
    return database.write(lambda s: doctor.repair(s, now=now))


def test_reserved_is_repaired_to_what_the_reservations_say(
    database: Database, mug: int, now: datetime
) -> None:
    run(database, "UPDATE product SET reserved = 3")
    expected = findings(database)

    repaired = repair(database, now)

    assert repaired == expected
    assert levels(database, mug) == (4, 1)
    assert findings(database) == []


def test_stock_is_repaired_by_a_line_in_the_ledger(
    database: Database, mug: int, now: datetime
) -> None:
    run(database, "UPDATE product SET stock = 9")

    repair(database, now)

    with database.read() as session:
        last = session.scalars(
            select(StockMovement).order_by(StockMovement.id.desc()).limit(1)
        ).one()
    assert (last.quantity, last.reason) == (5, "adjusted")
    assert levels(database, mug) == (9, 1)
    assert findings(database) == []


def test_repairing_again_changes_nothing(
    database: Database, mug: int, now: datetime
) -> None:
    run(database, "UPDATE product SET stock = 9, reserved = 3")

    first, second = repair(database, now), repair(database, now)

    assert len(first) == 2
    assert second == []


def waiting(database: Database) -> int:
    """Count who waits for an advisory lock in this database."""
    query = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )
    return int(ask(database, lambda session: session.scalars(query).one()))


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Database]:
    opened = connect(postgres_url)
    yield opened
    opened.engine.dispose()


@pytest.mark.postgres
def test_a_repair_beside_another_corrects_nothing_twice(
    on_postgres: Database, now: datetime
) -> None:
    database = on_postgres
    mug = add_product(database, stock_units=4)
    run(database, "UPDATE product SET stock = 9")
    transactions = database.engine.execution_options(isolation_level="READ COMMITTED")

    with ThreadPoolExecutor(1) as aside, Session(transactions) as first:
        told = doctor.repair(first, now=now)
        second = aside.submit(repair, database, now)
        eventually(lambda: second.done() or waiting(database))
        first.commit()

    assert (len(told), second.result()) == (1, [])
    assert findings(database) == []
    assert levels(database, mug) == (9, 0)


def test_more_reserved_than_there_is_waits_for_a_person(
    database: Database, mug: int, now: datetime
) -> None:
    run(database, "UPDATE product SET stock = 0, reserved = 0")

    repair(database, now)

    assert levels(database, mug) == (0, 0)
    assert [finding.kind for finding in findings(database)] == ["reserved"]


def test_what_only_a_person_can_tell_is_not_repaired(
    database: Database, mug: int, now: datetime
) -> None:
    run(database, "UPDATE checkout SET status = 'CANCELLED' WHERE status = 'CONFIRMED'")
    before = findings(database)

    repaired = repair(database, now)

    assert repaired == []
    assert findings(database) == before


def test_an_order_that_counts_other_refunds_than_it_has_is_found(
    database: Database, mug: int, now: datetime
) -> None:
    order = order_in(database)
    request(database, order, 300, now)
    fail(database, request(database, order, 200, now), now)
    assert findings(database) == []

    run(database, "UPDATE orders SET refunded_cents = 500")

    (finding,) = findings(database)
    assert (finding.kind, finding.subject) == ("refunded", f"order {order.number}")
    assert finding.explanation == "refunded_cents is 500, its refunds add up to 300"
