from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import make_url, select, text

from core.database.engine import Database, connect
from core.maintenance import doctor
from core.models.orders import SalesDay
from core.orders import sales
from core.scheduler import Scheduler
from core.shop import Shop
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    at_once,
    sold,
)

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
TUESDAY, THURSDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=3)
MOMENT = timedelta(microseconds=1)
Row = tuple[date, str, int, int]


@pytest.fixture
def mug(database: Database) -> int:
    return add_product(database, stock_units=100)


def sell(database: Database, product_id: int, *moments: datetime) -> None:
    """Sell a unit for 12,50 at each of these *moments*."""
    for number, moment in enumerate(moments):
        session_id = f"cs_{number}_{moment.timestamp()}"
        sold(database, {product_id: 1}, moment, session_id=session_id)


def kept(database: Database) -> list[Row]:
    days = select(SalesDay).order_by(SalesDay.day, SalesDay.currency)
    with database.read() as session:
        return [
            (row.day, row.currency, row.orders, row.amount_cents)
            for row in session.scalars(days)
        ]


def run(database: Database, statement: str) -> None:
    """Change a table behind the shop's back."""
    with database.engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("after_midnight", "is_summed"),
    [
        (timedelta(minutes=-1), False),
        (timedelta(hours=1) - MOMENT, False),
        (timedelta(hours=1), True),
    ],
)
def test_a_day_is_summed_when_it_is_over_by_an_hour(
    database: Database, mug: int, after_midnight: timedelta, is_summed: bool
) -> None:
    sell(database, mug, MONDAY, MONDAY + timedelta(hours=12))

    done = sales.roll_up(database, now=TUESDAY + after_midnight)

    assert done == is_summed
    assert kept(database) == [(MONDAY.date(), "eur", 2, 2500)] * is_summed


def test_an_order_at_midnight_counts_for_one_day_alone(
    database: Database, mug: int
) -> None:
    sell(database, mug, TUESDAY - MOMENT, TUESDAY)

    sales.roll_up(database, now=THURSDAY)

    assert kept(database) == [
        (MONDAY.date(), "eur", 1, 1250),
        (TUESDAY.date(), "eur", 1, 1250),
    ]
    assert_invariants(database)


def test_each_currency_has_a_sum_of_its_own(database: Database, mug: int) -> None:
    sell(database, mug, MONDAY, MONDAY + MOMENT)
    run(database, "UPDATE orders SET currency = 'usd' WHERE id = 1")

    sales.roll_up(database, now=THURSDAY)

    assert [row[1:] for row in kept(database)] == [("eur", 1, 1250), ("usd", 1, 1250)]


def test_the_total_is_the_same_before_and_after(database: Database, mug: int) -> None:
    sell(database, mug, MONDAY, MONDAY + MOMENT, TUESDAY, THURSDAY)
    totals = [ask(database, sales.total)]

    for now in (TUESDAY + timedelta(hours=1), THURSDAY + timedelta(hours=1)):
        sales.roll_up(database, now=now)
        totals.append(ask(database, sales.total))

    assert totals == [(4, 5000)] * 3


def test_the_past_is_not_summed_anew(database: Database, mug: int) -> None:
    sell(database, mug, MONDAY, THURSDAY)
    sales.roll_up(database, now=THURSDAY)
    run(database, "UPDATE orders SET amount_cents = 7")

    assert ask(database, sales.total) == (2, 1257)


def test_a_day_on_which_nothing_was_sold_holds_up_nothing(
    database: Database, mug: int
) -> None:
    sell(database, mug, MONDAY, THURSDAY)

    done = sales.roll_up(database, now=THURSDAY + timedelta(days=30))

    assert done == 2
    assert [row[0] for row in kept(database)] == [MONDAY.date(), THURSDAY.date()]


def test_a_long_past_is_summed_bit_by_bit(
    database: Database, mug: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sales, "DAYS_AT_ONCE", 2)
    sell(database, mug, *(MONDAY + timedelta(days=number) for number in range(5)))

    steps = [sales.roll_up(database, now=MONDAY.replace(year=2027)) for _ in range(4)]

    assert steps == [2, 2, 1, 0]
    assert len(kept(database)) == 5


def test_summing_up_again_and_at_once_changes_nothing(
    database: Database, mug: int
) -> None:
    sell(database, mug, MONDAY, MONDAY + MOMENT, TUESDAY)

    outcomes = at_once([lambda: sales.roll_up(database, now=THURSDAY)] * 4)
    again = sales.roll_up(database, now=THURSDAY)

    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert again == 0
    assert [row[2:] for row in kept(database)] == [(2, 2500), (1, 1250)]


def test_a_shop_without_orders_has_nothing_to_sum(database: Database) -> None:
    assert sales.roll_up(database, now=THURSDAY) == 0
    assert ask(database, sales.total) == (0, 0)


def test_a_pass_of_the_scheduler_sums_up(shop: Shop, clock: FakeClock) -> None:
    mug = add_product(shop.database)
    sell(shop.database, mug, MONDAY)
    clock.now = THURSDAY

    Scheduler(shop).run_once()

    assert kept(shop.database) == [(MONDAY.date(), "eur", 1, 1250)]


@pytest.fixture
def abroad(postgres_url: str) -> Iterator[Database]:
    """Give a shop on a server whose day begins half a day before that of UTC."""
    options = {"options": "-c timezone=Pacific/Auckland"}
    url = make_url(postgres_url).update_query_dict(options)
    opened = connect(url.render_as_string(hide_password=False))
    yield opened
    opened.engine.dispose()


@pytest.mark.postgres
def test_a_day_is_that_of_utc_wherever_the_server_stands(abroad: Database) -> None:
    mug = add_product(abroad)
    sell(abroad, mug, MONDAY, TUESDAY - MOMENT, TUESDAY)

    sales.roll_up(abroad, now=THURSDAY)

    assert [row[2] for row in kept(abroad)] == [2, 1]
    assert_invariants(abroad)


@pytest.fixture
def summed(database: Database, mug: int) -> Database:
    """Give a shop with two days summed and a third that is not."""
    sell(database, mug, MONDAY, MONDAY + MOMENT, TUESDAY, THURSDAY)
    sales.roll_up(database, now=THURSDAY)
    return database


def test_sums_that_agree_are_no_finding(summed: Database) -> None:
    assert_invariants(summed)


@pytest.mark.parametrize(
    ("wrong", "subject", "explanation"),
    [
        (
            "UPDATE sales_day SET amount_cents = 7 WHERE orders = 2",
            "sales of 2026-11-23 in eur",
            "2 orders of 7 cents are kept as their sum, the orders are 2 of 2500",
        ),
        (
            "UPDATE sales_day SET orders = 3 WHERE orders = 2",
            "sales of 2026-11-23 in eur",
            "3 orders of 2500 cents are kept as their sum, the orders are 2 of 2500",
        ),
        (
            "DELETE FROM sales_day WHERE orders = 2",
            "sales of 2026-11-23 in eur",
            "0 orders of 0 cents are kept as their sum, the orders are 2 of 2500",
        ),
        (
            "INSERT INTO sales_day VALUES ('2026-11-22', 'usd', 1, 5)",
            "sales of 2026-11-22 in usd",
            "1 orders of 5 cents are kept as their sum, the orders are 0 of 0",
        ),
    ],
)
def test_a_wrong_sum_is_found_and_repaired(
    summed: Database, wrong: str, subject: str, explanation: str
) -> None:
    before = ask(summed, sales.total)
    run(summed, wrong)

    found = ask(summed, doctor.examine)
    repaired = summed.write(lambda s: doctor.repair(s, now=THURSDAY))

    assert [(each.kind, each.subject, each.explanation) for each in found] == [
        ("sales", subject, explanation)
    ]
    assert repaired == found
    assert ask(summed, sales.total) == before
    assert_invariants(summed)


def test_an_order_that_came_after_its_day_was_summed_is_found(
    summed: Database, mug: int
) -> None:
    sell(summed, mug, MONDAY + timedelta(hours=23))

    (finding,) = ask(summed, doctor.examine)
    summed.write(lambda s: doctor.repair(s, now=THURSDAY))

    assert finding.explanation.startswith("2 orders of 2500 cents are kept")
    assert ask(summed, sales.total) == (5, 6250)
