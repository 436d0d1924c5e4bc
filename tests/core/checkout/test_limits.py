"""What one visitor and one network may hold, and how soon again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.checkout import events, expiry, payment_page, tries
from core.checkout.payment_page import PaymentPage, Visitor
from core.config import Limits
from core.errors import (
    InsufficientStockError,
    TooManyHoldsError,
    TooManyTriesError,
)
from core.models.checkout import PENDING, Checkout
from core.models.limits import NETWORK, SHARE, UNPAID, VISITOR, RefusedCheckout
from core.shop import Shop
from core.stock import limits
from tests.emulator import EmulatorServer
from tests.factories import FakeClock, add_product, ask, at_once, begin, levels

HOME = "192.0.2.1"


def visitor(number: int = 1, address: str = HOME) -> Visitor:
    return Visitor(f"visitor-{number}", address, "nl")


def with_limits(shop: Shop, **chosen: Any) -> Shop:
    """Give the shop only these limits."""
    none = {"holds_per_visitor": 0, "holds_per_address": 0}
    more = {"share_per_address": 0, "unpaid_holds": 0}
    return replace(
        shop, config=replace(shop.config, limits=Limits(**{**none, **more, **chosen}))
    )


def refusal(shop: Shop, cart: dict[int, int], who: Visitor) -> TooManyHoldsError:
    with pytest.raises(TooManyHoldsError) as caught:
        begin(shop, cart, who)
    return caught.value


def pay(shop: Shop, stripe: EmulatorServer, page: PaymentPage) -> None:
    stripe.pay(page.stripe_session_id)
    events.settle_returned(shop, page.stripe_session_id)


def pending(shop: Shop) -> int:
    query = select(Checkout.id).where(Checkout.status == PENDING)
    return len(ask(shop.database, lambda s: s.scalars(query).all()))


def test_of_200_at_the_same_instant_a_network_gets_as_many_as_it_may(
    shop: Shop,
) -> None:
    mug = add_product(shop.database, stock_units=500)
    strict = with_limits(shop, holds_per_address=3)

    outcomes = at_once(
        [
            lambda number=number: begin(strict, {mug: 1}, visitor(number))  # type: ignore[misc]
            for number in range(200)
        ]
    )

    kinds = {type(outcome).__name__ for outcome in outcomes}
    pages = [each for each in outcomes if isinstance(each, PaymentPage)]
    assert len(pages) == 3, kinds
    assert kinds == {"PaymentPage", "TooManyHoldsError"}
    assert levels(shop.database, mug) == (500, 3)


def test_nobody_holds_all_units_of_every_product_for_nothing(shop: Shop) -> None:
    usual = replace(shop, config=replace(shop.config, limits=Limits()))
    many = add_product(shop.database, stock_units=40)
    few = add_product(shop.database, stock_units=7)

    error = refusal(usual, {many: 40, few: 7}, visitor())

    assert error.reason == SHARE
    assert error.product_ids == (many, few)
    assert levels(shop.database, many) == (40, 0)


@pytest.mark.parametrize(
    ("stock", "most"), [(1, 2), (3, 2), (7, 3), (9, 3), (10, 5), (100, 50)]
)
def test_a_share_is_larger_of_ordinary_quantities_than_of_the_last_ones(
    stock: int, most: int
) -> None:
    assert limits.share(stock, 50) == most


def test_what_a_network_holds_counts_towards_its_share(shop: Shop) -> None:
    strict = with_limits(shop, share_per_address=50)
    mug = add_product(shop.database, stock_units=9)
    begin(strict, {mug: 2}, visitor(1))
    begin(strict, {mug: 1}, visitor(2))

    error = refusal(strict, {mug: 1}, visitor(3))
    begin(strict, {mug: 1}, visitor(3, "192.0.2.2"))

    assert (error.reason, error.product_ids) == (SHARE, (mug,))
    assert error.until == shop.clock() + shop.config.hold_for
    assert levels(shop.database, mug) == (9, 4)


def test_single_units_of_a_product_with_plenty_are_never_refused(shop: Shop) -> None:
    usual = replace(shop, config=replace(shop.config, limits=Limits()))
    mug = add_product(shop.database, stock_units=31)

    for number in range(20):
        begin(usual, {mug: 1}, visitor(number))

    assert levels(shop.database, mug) == (31, 20)


def test_the_share_of_a_visitor_who_changes_the_cart_is_not_counted_twice(
    shop: Shop,
) -> None:
    strict = with_limits(shop, share_per_address=50)
    mug = add_product(shop.database, stock_units=9)
    begin(strict, {mug: 3}, visitor())

    begin(strict, {mug: 2}, visitor())

    assert levels(shop.database, mug) == (9, 2)


def test_a_cart_that_nobody_could_have_is_short_and_not_over_a_limit(
    shop: Shop,
) -> None:
    strict = with_limits(shop, share_per_address=50)
    mug = add_product(shop.database, stock_units=9)

    with pytest.raises(InsufficientStockError):
        begin(strict, {mug: 10}, visitor())


Ending = Callable[[Shop, FakeClock, PaymentPage], object]


def let_it_run_out(shop: Shop, clock: FakeClock, page: PaymentPage) -> None:
    clock.advance(minutes=16)
    expiry.sweep(shop)


def turn_back(shop: Shop, clock: FakeClock, page: PaymentPage) -> None:
    payment_page.cancel(shop, page.checkout_id, visitor().id)


@pytest.mark.parametrize("end", [let_it_run_out, turn_back])
def test_after_too_many_unpaid_holds_the_next_one_waits_longer_each_time(
    shop: Shop, clock: FakeClock, end: Ending
) -> None:
    strict = with_limits(shop, unpaid_holds=2)
    mug = add_product(shop.database)
    waits = []
    for number in range(4):
        end(shop, clock, begin(strict, {mug: 1}, visitor()))
        if number:
            ended = clock()
            error = refusal(strict, {mug: 1}, visitor())
            assert error.reason == UNPAID
            waits.append((error.until - ended).total_seconds() / 60)
            clock.advance(seconds=(error.until - ended).total_seconds())

    assert waits == [1, 2, 4]


def test_the_longest_wait_is_two_hours(shop: Shop, clock: FakeClock) -> None:
    strict = with_limits(shop, unpaid_holds=1)
    mug = add_product(shop.database)
    for _ in range(10):
        turn_back(shop, clock, begin(strict, {mug: 1}, visitor()))
        clock.advance(hours=2)

    turn_back(shop, clock, begin(strict, {mug: 1}, visitor()))

    assert refusal(strict, {mug: 1}, visitor()).until == clock() + timedelta(hours=2)


def test_who_replaces_page_by_page_is_not_held_for_somebody_who_pays(
    shop: Shop, clock: FakeClock
) -> None:
    """One cookie could keep the last unit for ever by checking out every 14 minutes."""
    strict = with_limits(shop, unpaid_holds=2)
    mug = add_product(shop.database, stock_units=1)
    renewed = 0
    for _ in range(16):
        try:
            begin(strict, {mug: 1}, visitor())
            renewed += 1
        except TooManyHoldsError:
            break
        clock.advance(minutes=14)

    let_it_run_out(shop, clock, None)  # type: ignore[arg-type]

    assert renewed < 6
    begin(strict, {mug: 1}, visitor(2, "192.0.2.2"))
    assert levels(shop.database, mug) == (1, 1)


def test_pages_that_their_visitor_replaced_soon_do_not_count(
    shop: Shop, clock: FakeClock
) -> None:
    strict = with_limits(shop, unpaid_holds=1)
    mug = add_product(shop.database)

    for quantity in (1, 2, 3, 2, 1):
        begin(strict, {mug: quantity}, visitor())
        clock.advance(minutes=2)

    assert levels(shop.database, mug) == (5, 1)


def test_a_refused_replacement_leaves_the_open_page_alone(
    shop: Shop, stripe: EmulatorServer
) -> None:
    """Also of a visitor who changed networks, to one that has all it may have."""
    strict = with_limits(shop, holds_per_address=1)
    mug = add_product(shop.database)
    page = begin(strict, {mug: 1}, visitor())
    begin(strict, {mug: 1}, visitor(2, "198.51.100.7"))

    error = refusal(strict, {mug: 2}, visitor(1, "198.51.100.7"))

    assert error.reason == NETWORK
    assert levels(shop.database, mug) == (5, 2)
    pay(shop, stripe, page)
    assert levels(shop.database, mug) == (4, 1)


def test_a_network_that_pays_is_forgiven_what_it_does_not_pay(
    shop: Shop, clock: FakeClock, stripe: EmulatorServer
) -> None:
    strict = with_limits(shop, unpaid_holds=1)
    mug = add_product(shop.database, stock_units=50)
    pay(shop, stripe, begin(strict, {mug: 1}, visitor(99)))
    for number in range(3):
        page = begin(strict, {mug: 1}, visitor(number))
        payment_page.cancel(shop, page.checkout_id, visitor(number).id)

    begin(strict, {mug: 1}, visitor(98))
    payment_page.cancel(shop, pending_page(shop), visitor(98).id)

    assert refusal(strict, {mug: 1}, visitor(97)).reason == UNPAID


def pending_page(shop: Shop) -> int:
    query = select(Checkout.id).where(Checkout.status == PENDING)
    return ask(shop.database, lambda s: s.scalars(query).one())


def test_after_a_day_unpaid_holds_and_networks_are_forgotten(
    shop: Shop, clock: FakeClock, stripe: EmulatorServer
) -> None:
    strict = with_limits(shop, unpaid_holds=1)
    mug = add_product(shop.database)
    turn_back(shop, clock, begin(strict, {mug: 1}, visitor()))
    refusal(strict, {mug: 1}, visitor())
    tries.count(with_limits(shop, checkouts_per_minute=5), HOME)

    clock.advance(hours=24)
    stripe.advance(24 * 3600)
    shop.database.write(lambda s: limits.forget(s, now=clock()))

    kept = select(Checkout.network).where(Checkout.network != "")
    refused = select(RefusedCheckout.network)
    assert ask(shop.database, lambda s: s.scalars(kept).all()) == []
    assert ask(shop.database, lambda s: s.scalars(refused).all()) == []
    begin(strict, {mug: 1}, visitor())
    assert levels(shop.database, mug) == (5, 1)


def test_delayed_payments_on_their_way_count_for_their_visitor(
    shop: Shop, stripe: EmulatorServer
) -> None:
    strict = with_limits(shop, holds_per_visitor=1)
    mug = add_product(shop.database)
    page = begin(strict, {mug: 1}, visitor())
    stripe.pay(page.stripe_session_id, method="sepa_debit", forgotten=True)
    events.settle_returned(shop, page.stripe_session_id)

    assert refusal(strict, {mug: 1}, visitor()).reason == VISITOR


def test_all_processes_together_count_the_tries_of_a_minute(
    shop: Shop, clock: FakeClock, now: datetime
) -> None:
    strict = with_limits(shop, checkouts_per_minute=3)
    other = replace(strict)

    outcomes = at_once([lambda: tries.count(strict, HOME)] * 4)
    outcomes += at_once([lambda: tries.count(other, f"{HOME}:80")] * 4)

    refused = [each for each in outcomes if isinstance(each, TooManyTriesError)]
    assert len(refused) == 5
    assert all(now < each.until <= now + timedelta(minutes=1) for each in refused)
    clock.advance(minutes=1)
    tries.count(strict, HOME)


def test_the_owner_sees_how_often_a_network_was_refused_and_why(shop: Shop) -> None:
    strict = with_limits(shop, holds_per_address=1)
    mug = add_product(shop.database)
    begin(strict, {mug: 1}, visitor(1))
    for number in (2, 3):
        refusal(strict, {mug: 1}, visitor(number))

    (row,) = ask(shop.database, lambda s: s.scalars(select(RefusedCheckout)).all())

    assert (row.network, row.reason, row.times) == (f"{HOME}/32", NETWORK, 2)
