from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from core import orders, queries, reservations
from core.database import Database
from core.models import Product
from core.orders import Payment
from core.queries import StockLevel, vat_within
from tests.factories import add_product, reserved

T = TypeVar("T")


def ask(database: Database, question: Callable[[Session], T]) -> T:
    with database.read() as session:
        return question(session)


def change(database: Database, product_id: int, **values: object) -> None:
    database.write(
        lambda s: s.execute(
            update(Product).where(Product.id == product_id).values(**values)
        )
    )


def sold(
    database: Database,
    cart: dict[int, int],
    now: datetime,
    *,
    session_id: str = "cs_test_1",
    name: str = "Marijke de Vries",
    cents: int = 1250,
) -> int:
    """Sell *cart*; return the checkout's id."""
    checkout_id = reserved(database, cart, now)
    payment = Payment(session_id, "pi_1", cents, "eur", name, "m@shop.example")
    database.write(lambda s: orders.confirm(s, checkout_id, payment, now=now))
    return checkout_id


@pytest.mark.parametrize(
    ("lines", "vat"),
    [
        ([(2100, 1295)], [(2100, 225)]),
        ([(900, 895)], [(900, 74)]),
        ([(900, 895), (2100, 1295)], [(2100, 225), (900, 74)]),
        ([(0, 500)], [(0, 0)]),
        ([(2100, 0)], [(2100, 0)]),
        ([(10_000, 1)], [(10_000, 1)]),
        ([], []),
    ],
)
def test_vat_is_taken_out_of_the_price_for_each_rate(
    lines: list[tuple[int, int]], vat: list[tuple[int, int]]
) -> None:
    assert vat_within(lines) == vat


def test_vat_is_rounded_once_for_a_rate_and_not_for_each_line() -> None:
    three_lines = [(2100, 3)] * 3

    assert vat_within(three_lines) == [(2100, 2)]
    assert vat_within([(2100, 3)]) == [(2100, 1)]


def test_products_tell_what_is_available(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=5, price_cents=1295, name="Mug")
    reserved(database, {mug: 2}, now)

    (view,) = ask(database, queries.products)

    assert (view.id, view.name, view.price_cents) == (mug, "Mug", 1295)
    assert (view.stock, view.reserved, view.available) == (5, 2, 3)


def test_what_is_not_listed_is_nowhere_on_sale(database: Database) -> None:
    mug = add_product(database)
    slug = ask(database, lambda s: s.get_one(Product, mug).slug)
    change(database, mug, is_listed=False)

    assert ask(database, queries.products) == []
    assert ask(database, lambda s: queries.product(s, slug)) is None
    assert ask(database, lambda s: queries.products_in(s, [mug])) == {}


def test_a_product_is_found_by_its_address(database: Database) -> None:
    mug = add_product(database)
    slug = ask(database, lambda s: s.get_one(Product, mug).slug)

    found = ask(database, lambda s: queries.product(s, slug))

    assert found is not None
    assert found.id == mug
    assert ask(database, lambda s: queries.product(s, "nothing")) is None


def test_only_the_products_asked_for_are_given(database: Database) -> None:
    mug, _cup = add_product(database), add_product(database)

    assert list(ask(database, lambda s: queries.products_in(s, [mug, 999]))) == [mug]
    assert ask(database, lambda s: queries.products_in(s, [])) == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mug", ["Mug 100% wool", "Blue mug_1"]),
        ("%", ["Mug 100% wool"]),
        ("_", ["Blue mug_1"]),
        ("100% w", ["Mug 100% wool"]),
        ("100%", ["Mug 100% wool"]),
        ("g_1", ["Blue mug_1"]),
        ("/", []),
        ("\\", ["Back\\slash"]),
        ("crockery", ["Blue mug_1"]),
        ("", ["Mug 100% wool", "Blue mug_1", "Back\\slash"]),
    ],
)
def test_a_search_takes_every_character_as_it_is(
    database: Database, text: str, names: list[str]
) -> None:
    add_product(database, name="Mug 100% wool")
    blue = add_product(database, name="Blue mug_1")
    add_product(database, name="Back\\slash")
    change(database, blue, kind="Crockery")

    found = ask(database, lambda s: queries.products(s, text=text))

    assert [view.name for view in found] == names


@pytest.mark.parametrize(
    ("text", "skus"), [("%", ["a%"]), ("_", ["a_"]), ("mug", ["a%", "a_"])]
)
def test_the_owners_search_takes_every_character_as_it_is(
    database: Database, text: str, skus: list[str]
) -> None:
    for sku in ("a%", "a_"):
        change(database, add_product(database, name="Mug"), sku=sku)

    found = ask(database, lambda s: queries.stock_found(s, text=text))

    assert [level.sku for level in found] == skus


def test_held_units_may_come_back_at_the_end_of_the_first_hold(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database), add_product(database)
    reserved(database, {mug: 1}, now, minutes=15)
    reserved(database, {mug: 1}, now, minutes=5)

    free = ask(
        database,
        lambda s: queries.free_at(s, [mug, cup], until=now + timedelta(minutes=15)),
    )

    assert free == {mug: now + timedelta(minutes=5)}


def test_the_end_of_a_delayed_payment_promises_nothing(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    checkout_id = reserved(database, {mug: 1}, now)
    days = now + timedelta(days=1)
    database.write(lambda s: reservations.prolong(s, checkout_id, days))

    free = ask(
        database,
        lambda s: queries.free_at(s, [mug], until=now + timedelta(minutes=15)),
    )

    assert free == {}


def test_what_has_ended_promises_no_units(database: Database, now: datetime) -> None:
    mug = add_product(database)
    checkout_id = reserved(database, {mug: 1}, now)
    database.write(lambda s: reservations.cancel(s, checkout_id, cause="x", now=now))

    free = ask(
        database,
        lambda s: queries.free_at(s, [mug], until=now + timedelta(days=1)),
    )

    assert free == {}
    assert ask(database, lambda s: queries.free_at(s, [], until=now)) == {}


def test_a_visitor_is_told_of_his_own_open_hold(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database), add_product(database)
    checkout_id = reserved(database, {mug: 2, cup: 1}, now, visitor="anna")

    hold = ask(database, lambda s: queries.open_hold(s, "anna", now))

    assert hold is not None
    assert hold.checkout_id == checkout_id
    assert hold.units == {mug: 2, cup: 1}
    assert hold.expires_at == now + timedelta(minutes=15)
    assert ask(database, lambda s: queries.open_hold(s, "ben", now)) is None


def test_a_hold_that_is_over_or_awaits_its_money_is_not_open(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    reserved(database, {mug: 1}, now, visitor="anna", minutes=5)
    later = now + timedelta(minutes=5)
    waiting = reserved(database, {mug: 1}, now, visitor="ben")
    database.write(lambda s: reservations.prolong(s, waiting, now + timedelta(days=1)))

    assert ask(database, lambda s: queries.open_hold(s, "anna", now)) is not None
    assert ask(database, lambda s: queries.open_hold(s, "anna", later)) is None
    assert ask(database, lambda s: queries.open_hold(s, "ben", now)) is None


def test_of_the_open_reservations_the_first_to_end_is_on_top(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database, name="Mug"), add_product(database, name="Cup")
    late = reserved(database, {mug: 1}, now, minutes=15)
    soon = reserved(database, {cup: 2, mug: 1}, now, minutes=5)
    gone = reserved(database, {mug: 1}, now, minutes=1)
    database.write(lambda s: reservations.cancel(s, gone, cause="x", now=now))

    rows = ask(database, queries.open_reservations)

    assert [(row.checkout_id, row.product_name, row.quantity) for row in rows] == [
        (soon, "Mug", 1),
        (soon, "Cup", 2),
        (late, "Mug", 1),
    ]
    assert rows[0].expires_at == now + timedelta(minutes=5)
    assert not rows[0].awaits_payment


def test_totals_sum_up_the_shop(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=5)
    add_product(database, stock_units=3)
    sold(database, {mug: 1}, now)
    reserved(database, {mug: 2}, now, minutes=5)
    reserved(database, {mug: 1}, now, minutes=15)

    totals = ask(
        database, lambda s: queries.totals(s, now + timedelta(minutes=5, seconds=1))
    )

    assert (totals.products, totals.stock, totals.reserved) == (2, 7, 3)
    assert (totals.open_checkouts, totals.overdue_checkouts) == (2, 1)
    assert (totals.orders, totals.paid_cents) == (1, 1250)


def test_the_totals_of_an_empty_shop_are_nothing(
    database: Database, now: datetime
) -> None:
    totals = ask(database, lambda s: queries.totals(s, now))

    assert set(vars(totals).values()) == {0}


def test_the_newest_order_comes_first(database: Database, now: datetime) -> None:
    mug = add_product(database)
    sold(database, {mug: 1}, now, session_id="cs_1")
    sold(database, {mug: 1}, now, session_id="cs_2")
    sold(database, {mug: 1}, now - timedelta(days=1), session_id="cs_3")

    listed = ask(database, queries.orders)
    newest = ask(database, lambda s: queries.orders(s, limit=1))

    assert [order.stripe_session_id for order in listed] == ["cs_3", "cs_2", "cs_1"]
    assert newest == listed[:1]


def test_an_order_shows_its_lines_as_they_were_sold(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, price_cents=1295, name="Mug")
    book = add_product(database, price_cents=895, name="Book")
    change(database, book, vat_bp=900)
    checkout_id = sold(database, {mug: 1, book: 2}, now, cents=3085)
    change(database, mug, name="Cup", price_cents=1, vat_bp=0)

    order = ask(database, lambda s: queries.order_of_checkout(s, checkout_id))

    assert order is not None
    assert [(line.name, line.quantity, line.total_cents) for line in order.lines] == [
        ("Mug", 1, 1295),
        ("Book", 2, 1790),
    ]
    assert order.vat == [(2100, 225), (900, 148)]


def test_an_order_is_found_by_its_token_alone(
    database: Database, now: datetime
) -> None:
    checkout_id = sold(database, {add_product(database): 1}, now)
    order = ask(database, lambda s: queries.order_of_checkout(s, checkout_id))
    assert order is not None

    assert ask(database, lambda s: queries.order_by_token(s, order.token)) == order
    assert ask(database, lambda s: queries.order_by_token(s, "")) is None
    assert len(order.token) >= 32


@pytest.mark.parametrize(
    ("text", "sessions"),
    [
        ("", ["cs_2", "cs_1"]),
        ("%", ["cs_2"]),
        ("vries", ["cs_1"]),
        ("cs_1", ["cs_1"]),
        ("mug", ["cs_2", "cs_1"]),
        ("cup", ["cs_2"]),
        ("nobody", []),
        ("9" * 40, []),
    ],
)
def test_orders_are_found_by_what_is_in_them(
    database: Database, now: datetime, text: str, sessions: list[str]
) -> None:
    mug, cup = add_product(database, name="Mug"), add_product(database, name="Cup")
    sold(database, {mug: 1}, now, session_id="cs_1")
    sold(database, {mug: 1, cup: 1}, now, session_id="cs_2", name="100% Ben")

    found = ask(database, lambda s: queries.orders_found(s, text=text))

    assert [order.stripe_session_id for order in found] == sessions


@pytest.mark.parametrize("prefix", ["", "#"])
def test_an_order_is_found_by_its_number(
    database: Database, now: datetime, prefix: str
) -> None:
    sold(database, {add_product(database, name="Mug"): 1}, now)
    (order,) = ask(database, queries.orders)

    found = ask(
        database, lambda s: queries.orders_found(s, text=f"{prefix}{order.number}")
    )

    assert order in found


def test_what_is_reserved_most_is_on_top_of_the_stock(
    database: Database, now: datetime
) -> None:
    add_product(database, stock_units=9, name="Plenty")
    few = add_product(database, stock_units=1, name="Few")
    held = add_product(database, stock_units=5, name="Held")
    reserved(database, {held: 2}, now)

    listed = ask(database, queries.stock_levels)
    found = ask(database, queries.stock_found)

    sku = listed[0].sku
    assert listed[0] == StockLevel(held, sku, "Held", stock=5, reserved=2)
    assert listed[0].available == 3
    assert [level.name for level in found] == ["Held", "Few", "Plenty"]
    assert found[1].product_id == few


def test_what_a_person_must_look_at_is_counted(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    sold(database, {mug: 1}, now, cents=1)
    checkout_id = sold(database, {mug: 1}, now, session_id="cs_2")
    payment = Payment("cs_3", "pi_3", 1250, "eur", "", "")
    database.write(
        lambda s: orders.request_refund(s, checkout_id, payment, reason="x", now=now)
    )
    before = ask(database, queries.attention)
    (refund,) = ask(database, queries.refunds)

    database.write(
        lambda s: orders.close_refund(s, refund_id(s), stripe_refund_id=None, now=now)
    )
    after = ask(database, queries.attention)

    assert (before.orders_to_review, before.refunds_open) == (1, 1)
    assert (after.refunds_open, after.refunds_failed) == (0, 1)
    assert (refund.status, refund.amount_cents) == ("REQUESTED", 1250)


def refund_id(session: Session) -> int:
    found = orders.refund_of(session, "cs_3")
    assert found is not None
    return found.id
