"""What is still owed of an order: fulfil, take back, accept, and units that return."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.database.engine import Database
from core.errors import InvalidQuantityError
from core.models.orders import OrderLine
from core.models.records import CheckoutStep
from core.models.stock import StockMovement
from core.orders import orders
from core.orders.views import OrderView
from core.owner import to_dos
from core.refunds import refunds
from tests.core.money_back import WHO, kinds_of, order_in, report_of, take
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    at_once,
    levels,
    sold,
    to_dos_of,
)

Change = Callable[..., bool]


def become(database: Database, change: Change, order: OrderView, now: datetime) -> bool:
    return database.write(lambda s: change(s, order.number, who=WHO, now=now))


def steps_in(database: Database) -> list[tuple[str, str, datetime]]:
    query = select(CheckoutStep).order_by(CheckoutStep.id)
    return ask(
        database,
        lambda s: [(each.what, each.who, each.created_at) for each in s.scalars(query)],
    )


def return_units(
    database: Database, order: OrderView, units: Mapping[int, int], now: datetime
) -> None:
    database.write(
        lambda s: orders.return_units(s, order.number, units, who=WHO, now=now)
    )


def returned_in(database: Database) -> dict[int, int]:
    return {line.product_id: line.returned for line in order_in(database).lines}


@pytest.fixture
def mug(database: Database) -> int:
    return add_product(database, stock_units=5)


@pytest.fixture
def cup(database: Database) -> int:
    return add_product(database, stock_units=5)


@pytest.fixture
def order(database: Database, now: datetime, mug: int, cup: int) -> OrderView:
    """Give an order of three mugs and a cup."""
    sold(database, {mug: 3, cup: 1}, now, cents=5000)
    return order_in(database)


@pytest.fixture
def to_review(database: Database, now: datetime, mug: int) -> OrderView:
    """Give an order that was paid with another amount than was promised."""
    sold(database, {mug: 1}, now, cents=1)
    return order_in(database)


def test_goods_that_have_left_are_fulfilled_once(
    database: Database, order: OrderView, now: datetime
) -> None:
    later = now + timedelta(hours=2)

    first, second = (become(database, orders.fulfil, order, later) for _ in range(2))

    after = order_in(database)
    assert (first, second) == (True, False)
    assert (after.status, after.fulfilled_at) == ("FULFILLED", later)
    assert steps_in(database) == [("PAID to FULFILLED", WHO, later)]


def test_fulfil_can_be_taken_back(
    database: Database, order: OrderView, now: datetime
) -> None:
    become(database, orders.fulfil, order, now)

    first, second = (become(database, orders.unfulfil, order, now) for _ in range(2))

    after = order_in(database)
    assert (first, second) == (True, False)
    assert (after.status, after.fulfilled_at) == ("PAID", None)
    assert [what for what, _, _ in steps_in(database)] == [
        "PAID to FULFILLED",
        "FULFILLED to PAID",
    ]


def test_two_people_who_fulfil_at_once_fulfil_once(
    database: Database, order: OrderView, now: datetime
) -> None:
    outcomes = at_once([lambda: become(database, orders.fulfil, order, now)] * 4)

    assert sorted(map(str, outcomes)) == ["False", "False", "False", "True"]
    assert len(steps_in(database)) == 1


def test_an_order_for_review_is_accepted_before_it_is_fulfilled(
    database: Database, to_review: OrderView, now: datetime
) -> None:
    changes = (orders.fulfil, orders.accept, orders.accept, orders.fulfil)

    told = [become(database, change, to_review, now) for change in changes]

    assert told == [False, True, False, True]
    assert [what for what, _, _ in steps_in(database)] == [
        "REVIEW to PAID",
        "PAID to FULFILLED",
    ]
    assert order_in(database).status == "FULFILLED"


def test_who_accepts_an_order_has_dealt_with_its_entry(
    database: Database, to_review: OrderView, now: datetime
) -> None:
    (entry,) = to_dos_of(database)

    become(database, orders.accept, to_review, now)

    assert to_dos_of(database) == []
    (done,) = ask(database, lambda s: to_dos.entries(s, done=True))
    assert (done.id, done.kind, done.done_by) == (entry.id, "AMOUNT", WHO)


@pytest.mark.parametrize("change", [orders.fulfil, orders.unfulfil, orders.accept])
def test_what_was_refunded_is_owed_to_nobody(
    database: Database, order: OrderView, now: datetime, change: Change
) -> None:
    database.write(
        lambda s: refunds.request_by_owner(s, order.number, 5000, who=WHO, now=now)
    )

    assert become(database, change, order, now) is False

    assert order_in(database).status == "REFUNDED"
    assert steps_in(database) == []


def test_an_order_that_is_partly_refunded_is_still_fulfilled(
    database: Database, order: OrderView, now: datetime
) -> None:
    database.write(
        lambda s: refunds.request_by_owner(s, order.number, 1250, who=WHO, now=now)
    )

    assert become(database, orders.fulfil, order, now)

    assert order_in(database).status == "FULFILLED"


def test_units_that_come_back_are_stock_again(
    database: Database, order: OrderView, now: datetime, mug: int, cup: int
) -> None:
    return_units(database, order, {mug: 2, cup: 1}, now)

    assert returned_in(database) == {mug: 2, cup: 1}
    assert levels(database, mug) == (4, 0)
    assert levels(database, cup) == (5, 0)
    movements = ask(
        database,
        lambda s: s.execute(
            select(
                StockMovement.product_id,
                StockMovement.quantity,
                StockMovement.order_id,
                StockMovement.who,
            )
            .where(StockMovement.reason == "returned")
            .order_by(StockMovement.product_id)
        ).all(),
    )
    assert [tuple(row) for row in movements] == [
        (mug, 2, order.number, WHO),
        (cup, 1, order.number, WHO),
    ]
    assert_invariants(database)


@pytest.mark.parametrize("quantity", [3, 4, 10**6, 0, -1, -2])
def test_no_more_units_come_back_than_were_sold_and_are_still_away(
    database: Database,
    order: OrderView,
    now: datetime,
    mug: int,
    cup: int,
    quantity: int,
) -> None:
    return_units(database, order, {mug: 1}, now)

    with pytest.raises(InvalidQuantityError) as refusal:
        return_units(database, order, {mug: quantity, cup: 1}, now)

    assert (refusal.value.product_id, refusal.value.quantity) == (mug, quantity)
    assert returned_in(database) == {mug: 1, cup: 0}
    assert levels(database, mug) == (3, 0)
    assert levels(database, cup) == (4, 0)
    assert_invariants(database)


def test_a_line_that_is_refused_keeps_the_others_away_too(
    database: Database, order: OrderView, now: datetime, mug: int, cup: int
) -> None:
    with pytest.raises(InvalidQuantityError):
        return_units(database, order, {mug: 1, cup: 2}, now)

    assert returned_in(database) == {mug: 0, cup: 0}
    assert levels(database, mug) == (2, 0)


def test_what_was_not_in_the_order_does_not_come_back_with_it(
    database: Database, order: OrderView, now: datetime
) -> None:
    other = add_product(database)

    with pytest.raises(InvalidQuantityError):
        return_units(database, order, {other: 1}, now)

    assert levels(database, other) == (5, 0)


def test_the_last_unit_away_comes_back_once_however_many_say_so(
    database: Database, order: OrderView, now: datetime, cup: int
) -> None:
    outcomes = at_once([lambda: return_units(database, order, {cup: 1}, now)] * 6)

    refused = [each for each in outcomes if isinstance(each, InvalidQuantityError)]
    assert len(refused) == 5
    assert levels(database, cup) == (5, 0)
    assert_invariants(database)


def test_with_the_guard_gone_the_database_still_refuses_what_was_not_sold(
    database: Database, order: OrderView, mug: int
) -> None:
    def work(session: Session) -> None:
        session.execute(
            update(OrderLine).where(OrderLine.product_id == mug).values(returned=4)
        )

    with pytest.raises(IntegrityError):
        database.write(work)


def test_who_takes_goods_back_has_answered_what_came_of_a_refund_at_stripe(
    database: Database, order: OrderView, now: datetime, mug: int
) -> None:
    take(database, now, report_of(cents=500))
    assert kinds_of(to_dos_of(database)) == ["RESTOCK"]

    return_units(database, order, {}, now)
    assert kinds_of(to_dos_of(database)) == ["RESTOCK"]
    return_units(database, order, {mug: 1}, now)

    assert to_dos_of(database) == []
