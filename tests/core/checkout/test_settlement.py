from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from core.checkout import events, expiry, settlement
from core.checkout.expiry import Sweep
from core.checkout.payment_page import PaymentPage
from core.errors import CheckoutNotFoundError, PaymentUnavailableError
from core.models.checkout import CONFIRMED, EXPIRED, PENDING, Checkout
from core.models.records import StripeEvent
from core.payments.data import Event
from core.payments.gateway import StripeGateway
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
    levels,
    open_sessions,
    orders_of,
    sessions_at,
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


def test_two_events_about_one_payment_make_one_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)

    for number in (1, 2):
        events.record_event(shop, event_about(page, number=number))

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


def forget_session(shop: Shop, page: PaymentPage) -> None:
    """Leave the checkout as a crash between Stripe's answer and our commit does."""
    shop.database.write(
        lambda session: session.execute(
            update(Checkout)
            .where(Checkout.id == page.checkout_id)
            .values(stripe_session_id=None)
        )
    )


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


def test_a_session_that_is_not_ours_is_passed_over(shop: Shop) -> None:
    foreign = Event("evt_1", COMPLETED, "cs_test_foreign", reference="order-12")

    events.record_event(shop, foreign)

    with shop.database.read() as session:
        assert session.scalars(select(func.count(StripeEvent.id))).one() == 0


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
