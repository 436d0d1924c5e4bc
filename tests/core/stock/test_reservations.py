from datetime import datetime

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from core.database.engine import Database
from core.errors import (
    CartError,
    EmptyCartError,
    InsufficientStockError,
    InvalidQuantityError,
    ProductNotFoundError,
    Shortage,
)
from core.models.catalogue import Product
from core.models.checkout import CANCELLED, EXPIRED, PENDING, Checkout
from core.stock import reservations
from core.stock.reservations import Closed
from tests.factories import (
    add_product,
    assert_invariants,
    levels,
    reserved,
    status_of,
    terms,
)


def test_reserving_raises_reserved_and_leaves_stock(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=5)

    checkout_id = reserved(database, {mug: 2}, now)

    assert levels(database, mug) == (5, 2)
    assert status_of(database, checkout_id) == PENDING
    assert_invariants(database)


def test_one_short_line_refuses_the_whole_cart(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=5)
    bowl = add_product(database, stock_units=1)

    with pytest.raises(InsufficientStockError) as refusal:
        reserved(database, {mug: 4, bowl: 2}, now)

    assert refusal.value.shortages == (Shortage(bowl, requested=2, available=1),)
    assert levels(database, mug) == (5, 0)
    assert levels(database, bowl) == (1, 0)


def test_every_short_line_is_named(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=1)
    bowl = add_product(database, stock_units=0)

    with pytest.raises(InsufficientStockError) as refusal:
        reserved(database, {bowl: 1, mug: 2}, now)

    assert set(refusal.value.shortages) == {
        Shortage(mug, requested=2, available=1),
        Shortage(bowl, requested=1, available=0),
    }


def test_units_reserved_by_others_are_not_available(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=3)
    reserved(database, {mug: 1}, now)
    reserved(database, {mug: 1}, now)

    with pytest.raises(InsufficientStockError) as refusal:
        reserved(database, {mug: 2}, now)

    assert refusal.value.shortages == (Shortage(mug, requested=2, available=1),)


def test_an_unknown_product_refuses_the_whole_cart(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=5)

    with pytest.raises(ProductNotFoundError) as refusal:
        reserved(database, {mug: 1, 999: 1}, now)

    assert refusal.value.product_ids == (999,)
    assert levels(database, mug) == (5, 0)


def test_a_product_that_is_not_listed_cannot_be_reserved(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    database.write(
        lambda session: session.execute(update(Product).values(is_listed=False))
    )

    with pytest.raises(ProductNotFoundError):
        reserved(database, {mug: 1}, now)


def test_a_visitor_has_one_open_checkout_at_most(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    reserved(database, {mug: 1}, now, visitor="same")

    with pytest.raises(IntegrityError):
        reserved(database, {mug: 1}, now, visitor="same")

    assert levels(database, mug) == (5, 1)


@pytest.mark.parametrize("status", [CANCELLED, EXPIRED])
def test_ending_a_hold_gives_its_units_back_once(
    database: Database, now: datetime, status: str
) -> None:
    mug = add_product(database, stock_units=5)
    bowl = add_product(database, stock_units=5)
    other = reserved(database, {mug: 1}, now)
    checkout_id = reserved(database, {mug: 2, bowl: 3}, now)

    def end() -> bool:
        closed = Closed(status, "test")
        return database.write(
            lambda s: reservations.end(s, checkout_id, closed, now=now)
        )

    first, second = end(), end()

    assert (first, second) == (True, False)
    assert levels(database, mug) == (5, 1)
    assert levels(database, bowl) == (5, 0)
    assert status_of(database, checkout_id) == status
    assert status_of(database, other) == PENDING
    assert_invariants(database)


def test_nothing_prolongs_a_hold_that_has_ended(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    checkout_id = reserved(database, {mug: 1}, now)
    database.write(
        lambda s: reservations.end(s, checkout_id, Closed(EXPIRED, "test"), now=now)
    )

    prolonged = database.write(
        lambda s: reservations.prolong(s, checkout_id, now, now=now)
    )

    assert prolonged is False
    assert status_of(database, checkout_id) == EXPIRED


def test_a_second_session_is_not_attached_over_the_first(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    checkout_id = reserved(database, {mug: 1}, now)
    database.write(lambda s: reservations.attach(s, checkout_id, "cs_test_1", now=now))

    again = database.write(
        lambda s: reservations.attach(s, checkout_id, "cs_test_1", now=now)
    )
    other = database.write(
        lambda s: reservations.attach(s, checkout_id, "cs_test_2", now=now)
    )

    assert (again, other) == (True, False)


def test_with_the_guard_gone_the_database_still_refuses_to_oversell(
    database: Database,
) -> None:
    mug = add_product(database, stock_units=5)

    with pytest.raises(IntegrityError):
        database.write(
            lambda session: session.execute(
                update(Product).where(Product.id == mug).values(reserved=6)
            )
        )


@pytest.mark.parametrize("quantity", [0, -1, 1.5, 1.0, True, None, "2", [1], 10**30])
def test_a_quantity_that_is_no_number_of_units_is_refused(quantity: object) -> None:
    with pytest.raises(InvalidQuantityError):
        reservations.sum_cart([(1, quantity)])


def test_the_same_product_on_two_lines_is_summed() -> None:
    assert reservations.sum_cart([(1, 2), (2, 1), (1, 3)]) == {1: 5, 2: 1}


def test_an_empty_cart_is_refused() -> None:
    with pytest.raises(EmptyCartError):
        reservations.sum_cart([])


def test_more_lines_than_stripe_takes_are_refused() -> None:
    with pytest.raises(CartError):
        reservations.sum_cart([(number, 1) for number in range(101)])


def test_the_promised_terms_are_kept_with_the_checkout(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, price_cents=1250, name="Mug")
    agreed = terms(now)

    checkout_id = database.write(
        lambda s: reservations.reserve(s, {mug: 2}, agreed, now=now)
    ).checkout_id

    with database.read() as session:
        checkout = session.get_one(Checkout, checkout_id)
    assert checkout.expires_at == agreed.expires_at
    assert checkout.stripe_expires_at == agreed.stripe_expires_at
    assert checkout.idempotency_key == agreed.idempotency_key
