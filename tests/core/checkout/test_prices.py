"""A customer pays the prices that they have seen, or is told of the new ones first."""

from typing import Any

import pytest

from core.checkout import payment_page, prices
from core.checkout.payment_page import Visitor
from core.checkout.prices import Price
from core.errors import PriceChange, PriceChangedError
from core.models.checkout import Checkout
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    begin,
    change,
    levels,
    open_sessions,
    sessions_at,
    status_of,
)

ANNA = Visitor("anna", "127.0.0.1", "nl")


def test_the_price_that_was_seen_is_the_price_that_is_asked(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, price_cents=1650)

    page = payment_page.begin(
        shop, {mug: 2}, visitor=ANNA, seen={mug: Price(1650, "eur")}
    )

    assert open_sessions(stripe) == [page.stripe_session_id]


@pytest.mark.parametrize(("cents", "currency"), [(2650, "eur"), (1650, "usd")])
def test_another_price_than_was_seen_reserves_nothing_and_asks_for_no_page(
    shop: Shop, stripe: EmulatorServer, cents: int, currency: str
) -> None:
    mug, bowl = add_product(shop.database), add_product(shop.database)
    change(shop.database, mug, price_cents=cents, currency=currency)
    change(shop.database, bowl, currency=currency)

    with pytest.raises(PriceChangedError) as refused:
        payment_page.begin(
            shop, {mug: 2, bowl: 1}, visitor=ANNA, seen={mug: Price(1650, "eur")}
        )

    assert refused.value.changes == (PriceChange(mug, 1650, cents, currency),)
    assert [levels(shop.database, each) for each in (mug, bowl)] == [(5, 0), (5, 0)]
    assert sessions_at(stripe) == {}
    assert ask(shop.database, lambda s: s.get(Checkout, 1)) is None


def test_a_price_that_changes_while_it_is_reserved_gives_the_units_back(
    shop: Shop, stripe: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mug = add_product(shop.database, price_cents=1650)
    check_asked = prices.check_asked

    def check_then_rise(*args: Any) -> None:
        check_asked(*args)
        change(shop.database, mug, price_cents=2650)

    monkeypatch.setattr(prices, "check_asked", check_then_rise)

    with pytest.raises(PriceChangedError) as refused:
        payment_page.begin(shop, {mug: 2}, visitor=ANNA, seen={mug: Price(1650, "eur")})

    assert refused.value.changes == (PriceChange(mug, 1650, 2650, "eur"),)
    assert levels(shop.database, mug) == (5, 0)
    assert sessions_at(stripe) == {}
    assert status_of(shop.database, 1) == "CANCELLED"
    assert_invariants(shop.database)


def test_a_price_that_changed_leaves_the_visitors_open_page_alone(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, price_cents=1650)
    first = begin(shop, {mug: 1}, ANNA)
    change(shop.database, mug, price_cents=2650)

    with pytest.raises(PriceChangedError):
        payment_page.begin(shop, {mug: 2}, visitor=ANNA, seen={mug: Price(1650, "eur")})

    assert open_sessions(stripe) == [first.stripe_session_id]
    assert levels(shop.database, mug) == (5, 1)


def test_only_the_prices_that_were_seen_are_compared(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug, bowl = add_product(shop.database, price_cents=1650), add_product(shop.database)

    page = payment_page.begin(
        shop, {mug: 1, bowl: 1}, visitor=ANNA, seen={mug: Price(1650), 999: Price(1)}
    )

    assert open_sessions(stripe) == [page.stripe_session_id]
