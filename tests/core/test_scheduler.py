import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from core.models.checkout import CONFIRMED, EXPIRED, PENDING, Checkout
from core.models.records import TOO_LATE
from core.payments.data import Payment
from core.refunds import refunds
from core.scheduler import PATIENCE_SECONDS, Scheduler
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    assert_invariants,
    begin,
    eventually,
    levels,
    orders_of,
    sessions_at,
    status_of,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def brisk(shop: Shop) -> Shop:
    """Give a shop that sweeps every second."""
    return replace(shop, config=replace(shop.config, cleanup_interval_seconds=1))


@contextmanager
def running(shop: Shop) -> Iterator[Scheduler]:
    scheduler = Scheduler(shop)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()


@contextmanager
def failing(shop: Shop) -> Iterator[list[object]]:
    """Let every statement of the database fail; give the list of those that did."""
    refused: list[object] = []

    def refuse(*statement: object) -> None:
        refused.append(statement)
        raise RuntimeError("the disk is gone")

    event.listen(shop.database.engine, "before_cursor_execute", refuse)
    try:
        yield refused
    finally:
        event.remove(shop.database.engine, "before_cursor_execute", refuse)


def expired(shop: Shop, checkout_id: int) -> Callable[[], bool]:
    return lambda: status_of(shop.database, checkout_id) == EXPIRED


def owe_refund(shop: Shop, checkout_id: int, stripe_session_id: str) -> None:
    """Note a refund of what was paid, as a process does that is killed after it."""
    paid = shop.gateway.retrieve(stripe_session_id)
    assert paid is not None
    payment = Payment(stripe_session_id, paid.payment_intent, paid.bill)
    shop.database.write(
        lambda s: refunds.request_automatic(
            s, checkout_id, payment, kind=TOO_LATE, now=shop.clock()
        )
    )


def test_the_first_pass_comes_at_once(brisk: Shop, clock: FakeClock) -> None:
    hourly = replace(brisk, config=replace(brisk.config, cleanup_interval_seconds=3600))
    mug = add_product(brisk.database)
    page = begin(brisk, {mug: 1})
    clock.advance(minutes=16)

    with running(hourly):
        eventually(expired(brisk, page.checkout_id))

    assert levels(brisk.database, mug) == (5, 0)


def test_what_falls_due_later_is_ended_by_a_later_pass(
    brisk: Shop, clock: FakeClock, stripe: EmulatorServer
) -> None:
    mug = add_product(brisk.database)

    with running(brisk):
        page = begin(brisk, {mug: 2})
        assert levels(brisk.database, mug) == (5, 2)
        clock.advance(minutes=16)
        eventually(expired(brisk, page.checkout_id))

    assert levels(brisk.database, mug) == (5, 0)
    assert sessions_at(stripe)[page.stripe_session_id] == "expired"
    assert_invariants(brisk.database)


def test_a_hold_that_is_not_over_outlives_the_passes(
    brisk: Shop, clock: FakeClock
) -> None:
    mug = add_product(brisk.database)
    due, running_on = begin(brisk, {mug: 1}), begin(brisk, {mug: 1})
    brisk.database.write(
        lambda s: setattr(
            s.get_one(Checkout, running_on.checkout_id),
            "expires_at",
            clock.now + timedelta(hours=1),
        )
    )
    clock.advance(minutes=16)

    with running(brisk):
        eventually(expired(brisk, due.checkout_id))

    assert status_of(brisk.database, running_on.checkout_id) == PENDING


def test_a_pass_that_raises_is_logged_and_the_next_one_works(
    brisk: Shop, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    page = begin(brisk, {add_product(brisk.database): 1})
    clock.advance(minutes=16)

    with failing(brisk) as refused:
        scheduler = Scheduler(brisk)
        scheduler.start()
        eventually(lambda: len(refused) >= 8)
    eventually(expired(brisk, page.checkout_id))
    scheduler.stop()

    logged = [r for r in caplog.records if r.getMessage() == "the sweep failed"]
    assert len(logged) >= 2
    assert logged[0].levelno == logging.ERROR
    assert logged[0].exc_text is not None
    assert "the disk is gone" in logged[0].exc_text


def test_several_at_once_end_every_checkout_once(
    brisk: Shop, clock: FakeClock, stripe: EmulatorServer
) -> None:
    mug = add_product(brisk.database, stock_units=20)
    pages = [begin(brisk, {mug: 1}) for _ in range(10)]
    stripe.pay(pages[0].stripe_session_id)
    clock.advance(minutes=16)

    with running(brisk), running(brisk), running(brisk):
        eventually(lambda: levels(brisk.database, mug)[1] == 0)

    assert status_of(brisk.database, pages[0].checkout_id) == CONFIRMED
    assert len(orders_of(brisk.database)) == 1
    assert levels(brisk.database, mug) == (19, 0)
    assert_invariants(brisk.database)


def test_stopping_takes_a_moment_only(shop: Shop) -> None:
    with running(shop) as scheduler:
        eventually(scheduler.is_in_order)
        begun = time.monotonic()
        scheduler.stop()

    assert time.monotonic() - begun < 2
    assert not scheduler.is_in_order()


def test_stopping_waits_for_the_pass_that_is_running(
    brisk: Shop, clock: FakeClock, stripe: EmulatorServer
) -> None:
    page = begin(brisk, {add_product(brisk.database): 1})
    clock.advance(minutes=16)
    stripe.fault("expire", "slow", seconds=1)
    scheduler = Scheduler(brisk)

    scheduler.start()
    eventually(lambda: is_taken(brisk, page.checkout_id))
    scheduler.stop()

    assert status_of(brisk.database, page.checkout_id) == EXPIRED


def is_taken(shop: Shop, checkout_id: int) -> bool:
    with shop.database.read() as session:
        query = select(Checkout.retry_at).where(Checkout.id == checkout_id)
        return session.scalar(query) is not None


def test_one_that_was_not_started_is_not_in_order_and_stops(shop: Shop) -> None:
    scheduler = Scheduler(shop)

    before = scheduler.is_in_order()
    scheduler.stop()

    assert not before


def test_one_that_is_silent_for_too_long_is_not_in_order(
    shop: Shop, clock: FakeClock
) -> None:
    hourly = replace(shop, config=replace(shop.config, cleanup_interval_seconds=3600))

    with running(hourly) as scheduler:
        eventually(scheduler.is_in_order)
        clock.advance(seconds=3600 + PATIENCE_SECONDS)
        assert not scheduler.is_in_order()


def test_a_pass_sends_the_refunds_that_are_owed(
    brisk: Shop, clock: FakeClock, stripe: EmulatorServer
) -> None:
    mug = add_product(brisk.database, stock_units=1)
    page = begin(brisk, {mug: 1})
    stripe.pay(page.stripe_session_id)
    owe_refund(brisk, page.checkout_id, page.stripe_session_id)

    with running(brisk):
        eventually(lambda: stripe.requests("/v1/refunds"))

    assert len(stripe.requests("/v1/refunds")) == 1
