"""A payment is told of: by an event, or by the customer who comes back."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from core.checkout import events, expiry, settlement
from core.errors import CheckoutNotFoundError, PaymentUnavailableError
from core.models.checkout import CONFIRMED, EXPIRED, PENDING, Checkout
from core.payments.data import Event
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import (
    COMPLETED,
    FakeClock,
    add_product,
    assert_invariants,
    at_once,
    begin,
    event_about,
    forget_session,
    levels,
    orders_of,
    status_of,
)


def test_a_paid_checkout_becomes_one_order_and_stock_falls(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=5, price_cents=1250, name="Mug")
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)

    events.record_event(shop, event_about(page))

    (order,) = orders_of(shop.database)
    assert order.stripe_session_id == page.stripe_session_id
    assert order.amount_cents == 2500
    assert [(line.name, line.quantity) for line in order.lines] == [("Mug", 2)]
    assert order.status == "PAID"
    assert levels(shop.database, mug) == (3, 0)
    assert status_of(shop.database, page.checkout_id) == CONFIRMED
    assert_invariants(shop.database)


def test_the_same_event_again_changes_nothing(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)

    for _ in range(3):
        events.record_event(shop, event_about(page))

    assert len(orders_of(shop.database)) == 1
    assert levels(shop.database, mug) == (3, 0)


def test_many_events_and_the_return_page_at_once_make_one_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)

    outcomes = at_once(
        [lambda: events.record_event(shop, event_about(page))] * 6
        + [lambda: events.settle_returned(shop, page.stripe_session_id)] * 6
    )

    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert len(orders_of(shop.database)) == 1
    assert levels(shop.database, mug) == (3, 0)
    assert_invariants(shop.database)


def test_the_return_page_makes_the_order_when_the_webhook_never_came(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)

    found = events.settle_returned(shop, page.stripe_session_id)

    assert found == page.checkout_id
    assert len(orders_of(shop.database)) == 1


def test_an_event_finds_its_checkout_before_the_session_was_noted_here(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    forget_session(shop, page)
    with shop.database.read() as session:
        key = session.get_one(Checkout, page.checkout_id).idempotency_key

    events.record_event(shop, replace(event_about(page), checkout_key=key))

    (order,) = orders_of(shop.database)
    assert order.stripe_session_id == page.stripe_session_id


def test_an_event_without_metadata_is_matched_by_its_reference(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    forget_session(shop, page)

    events.record_event(shop, event_about(page))

    assert len(orders_of(shop.database)) == 1


def test_our_payment_without_a_checkout_here_must_be_sent_again(shop: Shop) -> None:
    lost = Event(
        "evt_1",
        COMPLETED,
        "cs_test_lost",
        reference="7",
        checkout_key="checkout-lost",
    )

    with pytest.raises(CheckoutNotFoundError):
        events.record_event(shop, lost)


def test_an_event_is_not_noted_while_stripe_cannot_tell(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    stripe.fault("retrieve", "error_before", times=0)

    with pytest.raises(PaymentUnavailableError):
        events.record_event(shop, event_about(page))
    stripe.control("faults/clear")
    events.record_event(shop, event_about(page))

    assert len(orders_of(shop.database)) == 1


def test_an_event_that_stripe_does_not_bear_out_yet_must_be_sent_again(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})

    with pytest.raises(PaymentUnavailableError):
        events.record_event(shop, event_about(page))
    stripe.pay(page.stripe_session_id)
    events.record_event(shop, event_about(page))

    assert len(orders_of(shop.database)) == 1


def test_the_end_of_another_session_does_not_end_the_checkout(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page, other = begin(shop, {mug: 1}), begin(shop, {mug: 1})
    closed = shop.gateway.expire(other.stripe_session_id)
    assert closed is not None

    settlement.settle(shop, page.checkout_id, closed)

    assert status_of(shop.database, page.checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 2)


def test_another_amount_than_promised_is_an_order_for_the_owner_to_look_at(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)
    paid = shop.gateway.retrieve(page.stripe_session_id)
    assert paid is not None

    other = replace(paid.bill, subtotal_cents=1, total_cents=1)
    settlement.settle(shop, page.checkout_id, replace(paid, bill=other))

    (order,) = orders_of(shop.database)
    assert order.status == "REVIEW"
    assert order.amount_cents == 1
    assert order.promised_cents == 2500


def test_a_free_order_is_confirmed_without_money(
    shop: Shop, stripe: EmulatorServer
) -> None:
    sample = add_product(shop.database, price_cents=0)
    page = begin(shop, {sample: 1})
    stripe.pay(page.stripe_session_id)

    events.record_event(shop, event_about(page))

    (order,) = orders_of(shop.database)
    assert order.amount_cents == 0
    assert levels(shop.database, sample) == (4, 0)


def test_the_webhook_wins_while_the_sweep_waits_for_stripes_answer(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=15)
    stripe.barrier("expire")

    with ThreadPoolExecutor(1) as background:
        sweep = background.submit(expiry.expire_due, shop)
        stripe.wait_for_waiter("expire")
        events.record_event(shop, event_about(page))
        stripe.release("expire")
        sweep.result(20)

    assert len(orders_of(shop.database)) == 1
    assert levels(shop.database, mug) == (0, 0)
    assert_invariants(shop.database)


def test_a_delayed_payment_keeps_its_units_until_the_money_comes(
    delayed_shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id, "sepa_debit")
    events.record_event(shop, event_about(page))
    clock.advance(hours=20)

    expiry.expire_due(shop)

    assert status_of(shop.database, page.checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 2)
    assert orders_of(shop.database) == []
    stripe.settle(page.stripe_session_id, "succeed")
    kind = "checkout.session.async_payment_succeeded"
    events.record_event(shop, event_about(page, kind, number=2))
    assert status_of(shop.database, page.checkout_id) == CONFIRMED
    assert levels(shop.database, mug) == (3, 0)


def test_a_delayed_payment_that_fails_gives_its_units_back_once(
    delayed_shop: Shop, stripe: EmulatorServer
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id, "sepa_debit")
    events.record_event(shop, event_about(page))
    stripe.settle(page.stripe_session_id, "fail")
    kind = "checkout.session.async_payment_failed"

    for number in (2, 3):
        events.record_event(shop, event_about(page, kind, number))

    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert levels(shop.database, mug) == (5, 0)
    assert orders_of(shop.database) == []
