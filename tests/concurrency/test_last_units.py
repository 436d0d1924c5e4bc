"""A rush of shoppers over real HTTP for the last units of a product."""

from collections import Counter

import pytest

from core.database.engine import Database
from tests.concurrency.rush import answers, rush, statuses
from tests.emulator import EmulatorServer
from tests.factories import (
    add_product,
    assert_invariants,
    levels,
    open_sessions,
    sessions_at,
)
from tests.storefront_server import StorefrontServer

pytestmark = pytest.mark.slow

SHOPPERS = 200


def test_of_200_shoppers_for_5_units_exactly_5_get_a_payment_page(
    storefront: StorefrontServer, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, stock_units=5)

    outcomes = rush(storefront.url, [{mug: 1}] * SHOPPERS)

    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert Counter(statuses(outcomes)) == {201: 5, 409: SHOPPERS - 5}
    pages = [each.body for each in answers(outcomes) if each.status == 201]
    assert {page["stripe_session_id"] for page in pages} == set(open_sessions(stripe))
    assert len({page["checkout_id"] for page in pages}) == 5
    assert len(sessions_at(stripe)) == 5
    refusals = [each.body for each in answers(outcomes) if each.status == 409]
    none_left = [{"product_id": mug, "requested": 1, "available": 0}]
    assert all(refusal["shortages"] == none_left for refusal in refusals)
    assert levels(database, mug) == (5, 5)
    assert_invariants(database)


@pytest.mark.daily_on("postgres")
def test_a_rush_for_several_units_each_never_splits_what_is_left(
    storefront: StorefrontServer, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, stock_units=8)

    outcomes = rush(storefront.url, [{mug: 3}] * 80)

    assert Counter(statuses(outcomes)) == {201: 2, 409: 78}
    refusals = [each.body for each in answers(outcomes) if each.status == 409]
    told = {refusal["shortages"][0]["available"] for refusal in refusals}
    assert told == {2}
    assert len(open_sessions(stripe)) == 2
    assert levels(database, mug) == (8, 6)
    assert_invariants(database)


@pytest.mark.daily_on("sqlite")
def test_a_rush_of_carts_in_opposite_order_ends_without_an_error(
    storefront: StorefrontServer, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, stock_units=30)
    plate = add_product(database, stock_units=20)

    carts = [{mug: 1, plate: 1}, {plate: 1, mug: 1}] * 40
    outcomes = rush(storefront.url, carts)

    assert Counter(statuses(outcomes)) == {201: 20, 409: 60}
    assert levels(database, mug) == (30, 20)
    assert levels(database, plate) == (20, 20)
    assert len(open_sessions(stripe)) == 20
    assert_invariants(database)
