"""A hold is over, a payment takes days, or Stripe cannot be reached around the end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.checkout import events, expiry, payment_page, reconcile
from core.checkout.closing import Ending
from core.checkout.expiry import Sweep
from core.checkout.payment_page import PaymentPage, Visitor
from core.errors import PaymentUnavailableError
from core.models.checkout import CONFIRMED, EXPIRED, PENDING, Checkout
from core.models.mail import Mail
from core.payments import pace, retry
from core.payments.offer import DELAYED_METHODS
from core.shop import Shop
from tests.core.checkout.test_paid import offering
from tests.core.money_back import kinds_of, order_in
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    begin,
    event_about,
    levels,
    open_sessions,
    orders_of,
    refunds_of,
    sessions_at,
    status_of,
    to_dos_of,
)

ANNA = Visitor("anna", "127.0.0.1", "nl")
EXPIRED_EVENT = "checkout.session.expired"
SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package try again at once: how often it does stays the same."""
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(pace, "BUSY_PAUSES", (0.001, 0.001))


def pass_time(clock: FakeClock, stripe: EmulatorServer, **by: float) -> None:
    """Let time pass here and at Stripe."""
    clock.advance(**by)
    stripe.advance(timedelta(**by).total_seconds())


def cause_of(shop: Shop, page: PaymentPage) -> str:
    return ask(shop.database, lambda s: s.get_one(Checkout, page.checkout_id).cause)


def letters(shop: Shop) -> list[str]:
    """Return the kinds of the letters in the outbox, the oldest first."""
    query = select(Mail.kind).order_by(Mail.id)
    return ask(shop.database, lambda s: list(s.scalars(query)))


def is_unreachable(shop: Shop) -> bool:
    """Tell whether a pass of reconcile finds nobody to ask."""
    try:
        reconcile.reconcile(shop)
    except PaymentUnavailableError:
        return True
    return False


def test_a_hold_that_is_over_is_no_news_to_anybody(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    page = begin(shop, {add_product(shop.database): 1})
    pass_time(clock, stripe, minutes=16)

    expiry.sweep(shop)

    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert letters(shop) == []
    assert to_dos_of(shop.database) == []


def test_a_page_that_stripe_itself_has_closed_gives_its_units_back(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    pass_time(clock, stripe, minutes=36)
    assert sessions_at(stripe)[page.stripe_session_id] == "expired"

    sweep = expiry.sweep(shop)

    assert sweep == Sweep(expired=1, confirmed=0, kept=0)
    assert levels(shop.database, mug) == (5, 0)


@pytest.mark.parametrize("is_paid", [False, True], ids=["held", "paid"])
def test_a_day_late_the_end_of_an_abandoned_page_leaves_the_newer_one_alone(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, *, is_paid: bool
) -> None:
    mug = add_product(shop.database)
    abandoned = begin(shop, {mug: 1}, ANNA)
    if is_paid:
        newer = begin(shop, {mug: 2}, ANNA)
        stripe.pay(newer.stripe_session_id)
        events.record_event(shop, event_about(newer))
        pass_time(clock, stripe, days=1)
    else:
        pass_time(clock, stripe, days=1)
        newer = begin(shop, {mug: 2}, ANNA)

    for number in (2, 3):
        events.record_event(shop, event_about(abandoned, EXPIRED_EVENT, number))

    ending = CONFIRMED if is_paid else PENDING
    assert status_of(shop.database, newer.checkout_id) == ending
    assert levels(shop.database, mug) == ((3, 0) if is_paid else (5, 2))
    assert [order.status for order in orders_of(shop.database)] == ["PAID"] * is_paid
    assert_invariants(shop.database)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "reset_before"},
        {"kind": "error_before"},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_while_stripe_is_out_of_reach_for_an_hour_no_unit_is_given_back(
    shop: Shop,
    stripe: EmulatorServer,
    clock: FakeClock,
    fault: dict[str, object],
) -> None:
    mug = add_product(shop.database, stock_units=9)
    early, late, never = (begin(shop, {mug: units}) for units in (1, 2, 3))
    pass_time(clock, stripe, minutes=10)
    stripe.control("faults", route="*", times=0, **fault)

    for minutes in range(15, 75, 5):
        pass_time(clock, stripe, minutes=5)
        # Customers reach Stripe all the time: before the end of the hold, and after it.
        if minutes == 15:
            stripe.pay(early.stripe_session_id)
        if minutes == 30:
            stripe.pay(late.stripe_session_id)
        swept = expiry.sweep(shop, everything=True)
        assert (swept.expired, swept.confirmed) == (0, 0)
        assert is_unreachable(shop)
        assert levels(shop.database, mug) == (9, 6)
    stripe.control("faults/clear")

    assert expiry.sweep(shop, everything=True) == Sweep(1, 2, 0)
    assert reconcile.reconcile(shop).kept == 0
    assert status_of(shop.database, never.checkout_id) == EXPIRED
    assert {order.stripe_session_id for order in orders_of(shop.database)} == {
        early.stripe_session_id,
        late.stripe_session_id,
    }
    assert not any(order.was_late for order in orders_of(shop.database))
    assert (refunds_of(shop), to_dos_of(shop.database)) == ([], [])
    assert levels(shop.database, mug) == (6, 0)
    assert_invariants(shop.database)


def test_a_page_whose_answer_was_lost_is_not_given_up_while_stripe_is_out_of_reach(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", "drop_after", times=3)
    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 2}, ANNA)
    (made,) = open_sessions(stripe)
    stripe.pay(made)
    stripe.fault("*", "reset_before", times=0)

    for _ in range(12):
        pass_time(clock, stripe, minutes=5)
        expiry.sweep(shop, everything=True)
        assert levels(shop.database, mug) == (5, 2)
    stripe.control("faults/clear")
    expiry.sweep(shop, everything=True)

    order = order_in(shop.database)
    assert (order.stripe_session_id, order.was_late) == (made, False)
    assert levels(shop.database, mug) == (3, 0)
    assert_invariants(shop.database)


def hear(shop: Shop, page: PaymentPage, kind: str) -> None:
    """Hear of it twice, by two events."""
    for number in (2, 3):
        events.record_event(shop, event_about(page, kind, number))


@pytest.mark.parametrize("teller", ["event", "sweep", "reconcile"])
@pytest.mark.parametrize("outcome", ["succeed", "fail"])
def test_a_delayed_payment_is_decided_after_three_days(
    delayed_shop: Shop,
    stripe: EmulatorServer,
    clock: FakeClock,
    outcome: str,
    teller: str,
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id, "sepa_debit")
    events.record_event(shop, event_about(page))
    for _ in range(9):
        pass_time(clock, stripe, hours=8)
        expiry.sweep(shop)
        assert reconcile.reconcile(shop).kept == 0
        assert levels(shop.database, mug) == (5, 2)
        assert orders_of(shop.database) == []

    stripe.settle(page.stripe_session_id, outcome)
    pass_time(clock, stripe, days=1, hours=1)
    tell: dict[str, Callable[[], object]] = {
        "event": lambda: hear(
            shop, page, SUCCEEDED if outcome == "succeed" else FAILED
        ),
        "sweep": lambda: expiry.sweep(shop),
        "reconcile": lambda: reconcile.reconcile(shop),
    }
    tell[teller]()

    is_sold = outcome == "succeed"
    ending = CONFIRMED if is_sold else EXPIRED
    assert status_of(shop.database, page.checkout_id) == ending
    assert cause_of(shop, page) == ("paid" if is_sold else "payment failed")
    assert [order.was_late for order in orders_of(shop.database)] == [False] * is_sold
    assert levels(shop.database, mug) == (3 if is_sold else 5, 0)
    assert letters(shop) == ["ORDER"] * is_sold
    assert_invariants(shop.database)


@pytest.mark.parametrize("are_units_free", [True, False], ids=["free", "gone"])
def test_a_delayed_payment_that_never_ends_is_waited_for_so_long_and_then_is_late(
    delayed_shop: Shop,
    stripe: EmulatorServer,
    clock: FakeClock,
    *,
    are_units_free: bool,
) -> None:
    config = replace(delayed_shop.config, delayed_payment_for=timedelta(days=4))
    shop = replace(delayed_shop, config=config)
    mug = add_product(shop.database, stock_units=2)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id, "sepa_debit")
    events.record_event(shop, event_about(page))
    for _ in range(15):
        pass_time(clock, stripe, hours=6)
        expiry.sweep(shop)
        reconcile.reconcile(shop)
        assert levels(shop.database, mug) == (2, 2)

    pass_time(clock, stripe, hours=6, minutes=1)
    expiry.sweep(shop)

    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert cause_of(shop, page) == "the delayed payment did not come in time"
    assert levels(shop.database, mug) == (2, 0)
    if not are_units_free:
        begin(shop, {mug: 1})
    stripe.settle(page.stripe_session_id, "succeed")
    hear(shop, page, SUCCEEDED)
    assert len(orders_of(shop.database)) == are_units_free
    assert len(refunds_of(shop)) == (not are_units_free)
    told = [] if are_units_free else ["TOO_LATE"]
    assert kinds_of(to_dos_of(shop.database)) == told
    assert_invariants(shop.database)


def test_a_delayed_method_that_was_not_excluded_is_waited_for_all_the_same(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    known = tuple(name for name in DELAYED_METHODS if name != "sepa_debit")
    shop = offering(shop, excluded_methods=known)
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id, "sepa_debit")

    events.record_event(shop, event_about(page))

    pass_time(clock, stripe, hours=3)
    expiry.sweep(shop)
    assert status_of(shop.database, page.checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 1)
    assert orders_of(shop.database) == []


def test_who_waits_for_a_delayed_payment_can_buy_something_else(
    delayed_shop: Shop, stripe: EmulatorServer
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1}, ANNA)
    stripe.pay(page.stripe_session_id, "sepa_debit")
    events.record_event(shop, event_about(page))

    other = begin(shop, {mug: 1}, ANNA)

    assert open_sessions(stripe) == [other.stripe_session_id]
    assert status_of(shop.database, page.checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 2)


def test_turning_back_does_not_end_a_delayed_payment(
    delayed_shop: Shop, stripe: EmulatorServer
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1}, ANNA)
    stripe.pay(page.stripe_session_id, "sepa_debit")

    ending = payment_page.cancel(shop, page.checkout_id, ANNA.id)

    assert ending is Ending.AWAITS_PAYMENT
    assert status_of(shop.database, page.checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 1)
