"""A bot with many addresses, and the customers beside it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from core.checkout import events, expiry
from core.checkout.payment_page import PaymentPage, Visitor
from core.config import Limits
from core.errors import InsufficientStockError, TooManyHoldsError
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    assert_invariants,
    at_once,
    begin,
    levels,
    orders_of,
)

OFFICE = "198.51.100.7"
# 50 addresses in ten networks, five in each.
ADDRESSES = [
    f"2001:db8:0:{network}::{host}" for network in range(10) for host in range(1, 6)
]


def with_usual_limits(shop: Shop) -> Shop:
    return replace(shop, config=replace(shop.config, limits=Limits()))


def bots(shop: Shop, product_id: int, of_round: int) -> list[Callable[[], PaymentPage]]:
    """Return a checkout for each address, each as somebody new."""
    return [
        partial(
            begin, shop, {product_id: 1}, Visitor(f"{of_round}-{place}", place, "nl")
        )
        for place in ADDRESSES
    ]


def buy(shop: Shop, stripe: EmulatorServer, product_id: int, name: str) -> None:
    page = begin(shop, {product_id: 1}, Visitor(name, OFFICE, "nl"))
    stripe.pay(page.stripe_session_id)
    events.settle_returned(shop, page.stripe_session_id)


def test_twenty_behind_one_address_all_get_to_pay_beside_a_bot_of_fifty(
    shop: Shop, stripe: EmulatorServer
) -> None:
    usual = with_usual_limits(shop)
    rare = add_product(shop.database, stock_units=10)
    mug = add_product(shop.database, stock_units=31)
    buyers: list[Callable[[], PaymentPage | None]] = [
        partial(buy, usual, stripe, mug, f"colleague-{number}") for number in range(20)
    ]

    outcomes = at_once([*bots(usual, rare, 0), *buyers])

    refused = [each for each in outcomes[:50] if not isinstance(each, PaymentPage)]
    assert len(refused) == 40
    assert {type(each) for each in refused} <= {
        TooManyHoldsError,
        InsufficientStockError,
    }
    assert outcomes[50:] == [None] * 20
    assert len(orders_of(shop.database)) == 20
    assert levels(shop.database, mug) == (11, 0)
    assert_invariants(shop.database)


def test_a_bot_that_comes_back_each_time_holds_less_and_less(
    shop: Shop, clock: FakeClock, stripe: EmulatorServer
) -> None:
    """Each of its networks has to wait longer, so others find free units."""
    strict = replace(shop, config=replace(shop.config, limits=Limits(unpaid_holds=1)))
    rare = add_product(shop.database, stock_units=10)
    free = []
    for of_round in range(16):
        for attempt in bots(strict, rare, of_round)[::5]:
            with suppress(TooManyHoldsError):
                attempt()
        stock, reserved = levels(shop.database, rare)
        free.append(stock - reserved)
        clock.advance(minutes=16)
        stripe.advance(16 * 60)
        expiry.sweep(shop)

    assert free[:2] == [0, 0]
    assert sum(free[-8:]) >= 50, free
