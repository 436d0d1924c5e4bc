"""What Stripe answers for a moment proves nothing: not that no page is, nor its end."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from core.checkout import events, expiry, settlement
from core.checkout.payment_page import PaymentPage
from core.errors import PaymentUnavailableError
from core.models.checkout import EXPIRED, PENDING, Checkout
from core.payments import gateway, request, retry
from core.payments.data import SessionRequest
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed
from tests.core.checkout.test_over import SUCCEEDED, pass_time
from tests.core.checkout.test_paid import letters, offering
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    assert_invariants,
    begin,
    event_about,
    levels,
    open_sessions,
    orders_of,
    refunds_of,
    status_of,
    to_dos_of,
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(settlement, "PASSED_BY_SECONDS", 0.01)


def end_here_only(shop: Shop, page: PaymentPage) -> None:
    shop.database.write_single(
        lambda session: reservations.end(
            session, page.checkout_id, Closed(EXPIRED, "a test"), now=shop.clock()
        )
    )


def test_a_session_unknown_for_a_moment_does_not_free_what_a_bank_still_pays(
    delayed_shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id, method="sepa_debit")
    events.record_event(shop, event_about(page))
    pass_time(clock, stripe, days=1, minutes=1)
    stripe.fault("expire", "status", status=404)
    stripe.fault("retrieve", "status", status=404)

    expiry.sweep(shop)

    assert status_of(shop.database, page.checkout_id) == PENDING
    assert levels(shop.database, mug) == (1, 1)
    stripe.settle(page.stripe_session_id, "succeed")
    events.record_event(shop, event_about(page, SUCCEEDED, 2))
    (order,) = orders_of(shop.database)
    assert not order.was_late
    assert_invariants(shop.database)


def test_a_session_unknown_until_a_delayed_payment_is_due_frees_its_units_at_last(
    delayed_shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id, method="sepa_debit")
    events.record_event(shop, event_about(page))
    stripe.fault("expire", "status", status=404, times=0)
    stripe.fault("retrieve", "status", status=404, times=0)
    pass_time(clock, stripe, days=14, minutes=6)

    expiry.sweep(shop)

    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert levels(shop.database, mug) == (1, 0)


def test_a_refusal_after_a_lost_answer_is_no_proof_that_there_is_no_page(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    stripe.barrier("create", after=True)
    stripe.fault("create", "drop_after")
    with ThreadPoolExecutor() as aside:
        begun = aside.submit(begin, shop, {mug: 1})
        stripe.wait_for_waiter("create")
        stripe.fault("create", "status", status=401)
        stripe.release("create")
        with pytest.raises(PaymentUnavailableError):
            begun.result(20)

    assert len(open_sessions(stripe)) == 1
    assert levels(shop.database, mug) == (1, 1)


def test_a_hold_whose_key_meets_another_request_ends_when_its_page_would_be_over(
    shop: Shop,
    stripe: EmulatorServer,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mug = add_product(shop.database, stock_units=1)
    stripe.fault("create", "error_before", times=0)
    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 1})
    stripe.control("faults/clear")
    before = request.create_params

    def upgraded(request: SessionRequest) -> object:
        return {**before(request), "submit_type": "pay"}

    monkeypatch.setattr(gateway, "create_params", upgraded)
    pass_time(clock, stripe, minutes=16)
    expiry.sweep(shop)
    kept = levels(shop.database, mug)
    pass_time(clock, stripe, minutes=30)
    expiry.sweep(shop)

    assert kept == (1, 1)
    assert levels(shop.database, mug) == (1, 0)
    assert_invariants(shop.database)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_late_money_does_not_press_on_while_an_overdue_hold_is_another_ones(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    end_here_only(shop, page)
    rival = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=16)

    # Reads commit by themselves here, and this is to hold its row.
    holding = shop.database.engine.execution_options(isolation_level="READ COMMITTED")
    with holding.connect() as another:
        another.execute(
            select(Checkout.id)
            .where(Checkout.id == rival.checkout_id)
            .with_for_update()
        )
        with pytest.raises(PaymentUnavailableError):
            events.record_event(shop, event_about(page))
        tries = len(stripe.requests(f"{rival.stripe_session_id}/expire"))
        another.rollback()

    assert tries == settlement.PASSED_BY_TRIES
    assert refunds_of(shop) == []
    events.record_event(shop, event_about(page))
    (order,) = orders_of(shop.database)
    assert order.was_late


def test_late_money_waits_for_whoever_is_just_ending_the_hold_in_its_way(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    end_here_only(shop, page)
    rival = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=16)
    stripe.barrier("expire", after=True)
    with ThreadPoolExecutor() as aside:
        told = aside.submit(events.record_event, shop, event_about(page))
        stripe.wait_for_waiter("expire")
        end_here_only(shop, rival)
        stripe.release("expire")
        told.result(20)

    (order,) = orders_of(shop.database)
    assert order.was_late
    assert refunds_of(shop) == []


def test_who_had_nothing_to_pay_is_told_that_the_goods_were_gone(
    shop: Shop, stripe: EmulatorServer
) -> None:
    shop = offering(shop, promotion_codes=True)
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    end_here_only(shop, page)
    begin(shop, {mug: 1})
    stripe.make_code("GRATIS", 100)
    stripe.pay(page.stripe_session_id, promotion_code="GRATIS")

    for number in (1, 2):
        events.record_event(shop, event_about(page, number=number))

    assert sorted(letters(shop)) == ["GONE", "TO_DO"]
    assert refunds_of(shop) == []
    (entry,) = to_dos_of(shop.database)
    assert (entry.kind, entry.amount_cents) == ("TOO_LATE", 0)
