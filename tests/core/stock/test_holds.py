from datetime import datetime, timedelta

import pytest

from core.catalogue import products
from core.database.engine import Database
from core.models.catalogue import Product
from core.models.checkout import CANCELLED
from core.orders.views import vat_within
from core.stock import holds, reservations
from core.stock.reservations import Closed
from tests.factories import add_product, ask, change, reserved


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

    (view,) = ask(database, products.listed)

    assert (view.id, view.name, view.price_cents) == (mug, "Mug", 1295)
    assert (view.stock, view.reserved, view.available) == (5, 2, 3)


def test_what_is_not_listed_is_nowhere_on_sale(database: Database) -> None:
    mug = add_product(database)
    slug = ask(database, lambda s: s.get_one(Product, mug).slug)
    change(database, mug, is_listed=False)

    assert ask(database, products.listed) == []
    assert ask(database, lambda s: products.by_slug(s, slug)) is None
    assert ask(database, lambda s: products.by_ids(s, [mug])) == {}


def test_a_product_is_found_by_its_address(database: Database) -> None:
    mug = add_product(database)
    slug = ask(database, lambda s: s.get_one(Product, mug).slug)

    found = ask(database, lambda s: products.by_slug(s, slug))

    assert found is not None
    assert found.id == mug
    assert ask(database, lambda s: products.by_slug(s, "nothing")) is None


def test_only_the_products_asked_for_are_given(database: Database) -> None:
    mug, _cup = add_product(database), add_product(database)

    assert list(ask(database, lambda s: products.by_ids(s, [mug, 999]))) == [mug]
    assert ask(database, lambda s: products.by_ids(s, [])) == {}


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

    found = ask(database, lambda s: products.listed(s, text=text))

    assert [view.name for view in found] == names


def test_held_units_may_come_back_at_the_end_of_the_first_hold(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database), add_product(database)
    reserved(database, {mug: 1}, now, minutes=15)
    reserved(database, {mug: 1}, now, minutes=5)

    free = ask(
        database,
        lambda s: holds.free_at(s, [mug, cup], until=now + timedelta(minutes=15)),
    )

    assert free == {mug: now + timedelta(minutes=5)}


def test_the_end_of_a_delayed_payment_promises_nothing(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    checkout_id = reserved(database, {mug: 1}, now)
    days = now + timedelta(days=1)
    database.write(lambda s: reservations.prolong(s, checkout_id, days, now=now))

    free = ask(
        database,
        lambda s: holds.free_at(s, [mug], until=now + timedelta(minutes=15)),
    )

    assert free == {}


def test_what_has_ended_promises_no_units(database: Database, now: datetime) -> None:
    mug = add_product(database)
    checkout_id = reserved(database, {mug: 1}, now)
    database.write(
        lambda s: reservations.end(s, checkout_id, Closed(CANCELLED, "x"), now=now)
    )

    free = ask(
        database,
        lambda s: holds.free_at(s, [mug], until=now + timedelta(days=1)),
    )

    assert free == {}
    assert ask(database, lambda s: holds.free_at(s, [], until=now)) == {}


def test_a_visitor_is_told_of_his_own_open_hold(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database), add_product(database)
    checkout_id = reserved(database, {mug: 2, cup: 1}, now, visitor="anna")

    hold = ask(database, lambda s: holds.open_hold(s, "anna", now))

    assert hold is not None
    assert hold.checkout_id == checkout_id
    assert hold.units == {mug: 2, cup: 1}
    assert hold.expires_at == now + timedelta(minutes=15)
    assert ask(database, lambda s: holds.open_hold(s, "ben", now)) is None


def test_a_hold_that_is_over_or_awaits_its_money_is_not_open(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    reserved(database, {mug: 1}, now, visitor="anna", minutes=5)
    later = now + timedelta(minutes=5)
    waiting = reserved(database, {mug: 1}, now, visitor="ben")
    database.write(
        lambda s: reservations.prolong(s, waiting, now + timedelta(days=1), now=now)
    )

    assert ask(database, lambda s: holds.open_hold(s, "anna", now)) is not None
    assert ask(database, lambda s: holds.open_hold(s, "anna", later)) is None
    assert ask(database, lambda s: holds.open_hold(s, "ben", now)) is None
