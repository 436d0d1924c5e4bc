"""A hold is over: what the sweep finds at Stripe, and does about it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from core.checkout import events, expiry
from core.checkout.expiry import Sweep
from core.models.checkout import EXPIRED, PENDING, Checkout
from core.payments.gateway import StripeGateway
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    assert_invariants,
    at_once,
    begin,
    event_about,
    forget_session,
    levels,
    open_sessions,
    orders_of,
    sessions_at,
    status_of,
)


def test_a_hold_that_is_over_is_closed_at_stripe_and_its_units_come_back(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    clock.advance(minutes=15)

    sweep = expiry.expire_due(shop)

    assert sweep == Sweep(expired=1, confirmed=0, kept=0)
    assert sessions_at(stripe)[page.stripe_session_id] == "expired"
    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert levels(shop.database, mug) == (5, 0)
    assert_invariants(shop.database)


def test_a_hold_that_is_not_over_is_left_alone(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    clock.advance(minutes=14, seconds=59)

    sweep = expiry.expire_due(shop, everything=True)

    assert sweep == Sweep(0, 0, 0)
    assert status_of(shop.database, page.checkout_id) == PENDING


def test_the_sweep_confirms_what_was_paid_and_never_reported(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=15)

    sweep = expiry.expire_due(shop)

    assert sweep == Sweep(expired=0, confirmed=1, kept=0)
    assert len(orders_of(shop.database)) == 1
    assert levels(shop.database, mug) == (3, 0)


@pytest.mark.parametrize("kind", ["error_before", "drop_after", "status"])
def test_nothing_is_given_back_while_stripe_cannot_tell(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, kind: str
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    clock.advance(minutes=15)
    stripe.fault("*", kind, times=0)

    kept = expiry.expire_due(shop)
    stripe.control("faults/clear")
    after = expiry.expire_due(shop, everything=True)

    assert kept == Sweep(expired=0, confirmed=0, kept=1)
    assert after == Sweep(expired=1, confirmed=0, kept=0)
    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert levels(shop.database, mug) == (5, 0)


def test_a_failing_checkout_is_paused_but_the_cron_route_tries_it_at_once(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    begin(shop, {mug: 2})
    clock.advance(minutes=15)
    stripe.fault("expire", "error_before", times=1)

    first = expiry.expire_due(shop)
    paused = expiry.expire_due(shop)
    at_cron = expiry.expire_due(shop, everything=True)

    assert first == Sweep(expired=0, confirmed=0, kept=1)
    assert paused == Sweep(0, 0, 0)
    assert at_cron == Sweep(expired=1, confirmed=0, kept=0)


def test_one_failing_session_does_not_hold_up_the_others(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    pages = [begin(shop, {mug: 1}) for _ in range(3)]
    clock.advance(minutes=15)
    stripe.fault("expire", "error_before", times=0, id=pages[0].stripe_session_id)

    sweep = expiry.expire_due(shop)

    assert sweep == Sweep(expired=2, confirmed=0, kept=1)
    assert status_of(shop.database, pages[0].checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 1)


def test_several_sweeps_at_once_give_every_unit_back_once(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=12)
    for _ in range(12):
        begin(shop, {mug: 1})
    clock.advance(minutes=15)

    sweeps = at_once([lambda: expiry.expire_due(shop)] * 4)

    assert sum(sweep.expired for sweep in sweeps if isinstance(sweep, Sweep)) == 12
    assert levels(shop.database, mug) == (12, 0)
    assert_invariants(shop.database)


def test_expired_at_stripe_by_somebody_else_gives_the_units_back(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    shop.gateway.expire(page.stripe_session_id)

    events.record_event(shop, event_about(page, "checkout.session.expired"))

    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert levels(shop.database, mug) == (5, 0)


def test_a_stale_expired_event_leaves_the_visitors_newer_checkout_alone(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    old = begin(shop, {mug: 1})
    clock.advance(minutes=15)
    expiry.expire_due(shop)
    newer = begin(shop, {mug: 1})

    events.record_event(shop, event_about(old, "checkout.session.expired"))

    assert status_of(shop.database, newer.checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 1)


def test_paying_first_makes_the_expiry_that_comes_second_confirm(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    clock.advance(minutes=15)
    stripe.barrier("expire")

    with ThreadPoolExecutor(1) as background:
        sweep = background.submit(expiry.expire_due, shop)
        stripe.wait_for_waiter("expire")
        stripe.pay(page.stripe_session_id)
        stripe.release("expire")

        assert sweep.result(20) == Sweep(expired=0, confirmed=1, kept=0)

    events.record_event(shop, event_about(page))
    assert len(orders_of(shop.database)) == 1
    assert levels(shop.database, mug) == (0, 0)
    assert_invariants(shop.database)


def test_expiring_first_makes_the_payment_that_comes_second_impossible(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    clock.advance(minutes=15)
    stripe.barrier("pay")

    with ThreadPoolExecutor(1) as background:
        payment = background.submit(stripe.pay, page.stripe_session_id)
        stripe.wait_for_waiter("pay")
        sweep = expiry.expire_due(shop)
        stripe.release("pay")
        payment.exception(20)

    assert sweep == Sweep(expired=1, confirmed=0, kept=0)
    assert sessions_at(stripe)[page.stripe_session_id] == "expired"
    assert orders_of(shop.database) == []
    assert levels(shop.database, mug) == (1, 0)


def test_a_crash_between_reserve_and_session_is_healed_by_the_sweep(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    forget_session(shop, page)
    clock.advance(minutes=15)

    sweep = expiry.expire_due(shop)

    assert sweep == Sweep(expired=1, confirmed=0, kept=0)
    assert open_sessions(stripe) == []
    assert levels(shop.database, mug) == (5, 0)


def test_a_lost_session_that_was_paid_becomes_an_order_in_the_sweep(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)
    forget_session(shop, page)
    clock.advance(minutes=15)

    sweep = expiry.expire_due(shop)

    assert sweep == Sweep(expired=0, confirmed=1, kept=0)
    assert len(orders_of(shop.database)) == 1


def test_a_checkout_that_never_reached_stripe_is_ended(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", "hang", seconds=60, times=0)
    with ThreadPoolExecutor(1) as background:
        lost = background.submit(begin, shop, {mug: 2})
        while not stripe.requests("/v1/checkout/sessions"):
            assert not lost.done()
        clock.advance(minutes=15)
        stripe.control("faults/clear")
        lost.exception(60)
        stripe.advance(15 * 60)
        expiry.expire_due(shop, everything=True)

    assert open_sessions(stripe) == []
    assert levels(shop.database, mug) == (5, 0)


def test_a_failed_delayed_payment_that_nobody_reported_is_found_by_the_sweep(
    delayed_shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id, "sepa_debit")
    events.record_event(shop, event_about(page))
    stripe.settle(page.stripe_session_id, "fail")
    clock.advance(days=1, seconds=1)

    expiry.expire_due(shop)

    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert levels(shop.database, mug) == (5, 0)


def test_a_session_that_stripe_does_not_know_is_ended_after_its_own_end(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.reset()
    clock.advance(minutes=15)

    early = expiry.expire_due(shop, everything=True)
    clock.advance(minutes=30)
    late = expiry.expire_due(shop, everything=True)

    assert early == Sweep(expired=0, confirmed=0, kept=1)
    assert late == Sweep(expired=1, confirmed=0, kept=0)
    assert status_of(shop.database, page.checkout_id) == EXPIRED


def test_a_sweeper_that_died_does_not_keep_its_checkouts(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    begin(shop, {mug: 2})
    clock.advance(minutes=15)
    shop.database.write(
        lambda session: session.execute(
            update(Checkout).values(retry_at=clock() + timedelta(seconds=30))
        )
    )

    during = expiry.expire_due(shop)
    clock.advance(seconds=31)
    after = expiry.expire_due(shop)

    assert during == Sweep(0, 0, 0)
    assert after == Sweep(expired=1, confirmed=0, kept=0)


def test_two_demos_on_one_database_end_each_their_own_holds(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    with EmulatorServer() as other_stripe:
        gateway = StripeGateway("sk_test_other", "whsec_test", other_stripe.url)
        other_shop = replace(shop, gateway=gateway)
        page = begin(shop, {mug: 1})
        clock.advance(minutes=15)

        first = expiry.expire_due(other_shop)
        clock.advance(seconds=9)
        second = expiry.expire_due(shop)

    assert first == Sweep(expired=0, confirmed=0, kept=1)
    assert second == Sweep(expired=1, confirmed=0, kept=0)
    assert status_of(shop.database, page.checkout_id) == EXPIRED
