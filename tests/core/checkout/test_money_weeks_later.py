"""What a payment, refund or dispute became weeks later, and nobody told the shop."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from core.checkout import events, expiry, reconcile
from core.checkout.payment_page import PaymentPage
from core.errors import PaymentError
from core.models.checkout import EXPIRED, Reconciled
from core.payments import gateway, pace, retry
from core.refunds import refunds, sending
from core.refunds import views as refund_views
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed
from tests.core.money_back import WHO, kinds_of, order_in, refunds_in
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    begin,
    bought,
    event_about,
    levels,
    orders_of,
    refunds_of,
    status_of,
    to_dos_of,
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)


def pass_days(shop: Shop, stripe: EmulatorServer, clock: FakeClock, days: int) -> None:
    """Let days go by, with what the background does in them."""
    for _ in range(days):
        clock.advance(days=1)
        stripe.advance(86_400)
        expiry.sweep(shop)
        reconcile.reconcile(shop)


def paid_by_debit(shop: Shop, stripe: EmulatorServer, mug: int) -> PaymentPage:
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id, method="sepa_debit")
    return page


@pytest.mark.parametrize("is_gone", [False, True], ids=["free", "gone"])
def test_a_delayed_payment_that_comes_after_its_limit_and_unheard_is_not_lost(
    delayed_shop: Shop, stripe: EmulatorServer, clock: FakeClock, *, is_gone: bool
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database, stock_units=1)
    page = paid_by_debit(shop, stripe, mug)
    events.record_event(shop, event_about(page))
    pass_days(shop, stripe, clock, 16)
    assert status_of(shop.database, page.checkout_id) == EXPIRED
    if is_gone:
        rival = begin(shop, {mug: 1})
        stripe.pay(rival.stripe_session_id)
        events.record_event(shop, event_about(rival, number=2))
    stripe.settle(page.stripe_session_id, "succeed")

    clock.advance(hours=6)
    reconcile.reconcile(shop)

    if is_gone:
        (refund,) = refunds_of(shop)
        assert (refund.status, refund.amount_cents) == ("DONE", 1250)
        assert refund.stripe_session_id == page.stripe_session_id
        assert len(orders_of(shop.database)) == 1
    else:
        (order,) = orders_of(shop.database)
        assert order.was_late
        assert levels(shop.database, mug) == (0, 0)
    assert_invariants(shop.database)


def test_a_delayed_payment_of_a_hold_that_had_ended_is_not_lost(
    delayed_shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = paid_by_debit(shop, stripe, mug)
    shop.database.write_single(
        lambda session: reservations.end(
            session, page.checkout_id, Closed(EXPIRED, "a test"), now=shop.clock()
        )
    )
    pass_days(shop, stripe, clock, 3)
    stripe.settle(page.stripe_session_id, "succeed")

    clock.advance(hours=6)
    reconcile.reconcile(shop)

    (order,) = orders_of(shop.database)
    assert order.stripe_session_id == page.stripe_session_id


def test_a_refund_that_fails_days_after_it_was_done_and_unheard_is_entered(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})
    shop.database.write(
        lambda s: refunds.request_by_owner(
            s, order.number, 500, who=WHO, now=shop.clock()
        )
    )
    sending.send_refunds(shop)
    (done,) = refunds_in(shop.database)
    pass_days(shop, stripe, clock, 12)
    stripe.control(f"refunds/{done.stripe_refund_id}/fail")

    clock.advance(hours=6)
    reconcile.reconcile(shop)

    (refund,) = refunds_in(shop.database)
    assert (done.status, refund.status) == ("DONE", "FAILED")
    assert kinds_of(to_dos_of(shop.database)) == ["REFUND_FAILED"]
    assert order_in(shop.database).refunded_cents == 0


def test_a_dispute_that_ends_weeks_later_and_unheard_is_known_as_ended(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})
    dispute = stripe.dispute(order.stripe_session_id)
    reconcile.reconcile(shop)
    pass_days(shop, stripe, clock, 20)
    stripe.close_dispute(dispute["id"], "won")

    clock.advance(hours=6)
    reconcile.reconcile(shop)

    (known,) = ask(shop.database, refund_views.disputes)
    assert known.status == "won"


def looked_back_at(shop: Shop) -> datetime:
    query = select(Reconciled.looked_back_at)
    return ask(shop.database, lambda s: s.scalars(query).one())


def test_all_is_looked_back_over_at_first_and_then_every_six_hours(
    shop: Shop, clock: FakeClock
) -> None:
    begin(shop, {add_product(shop.database): 1})
    began = shop.clock()
    looked_back = []
    for hours in (0, 1, 4, 1, 1, 5):
        clock.advance(hours=hours)
        reconcile.reconcile(shop)
        looked_back.append((looked_back_at(shop) - began) / timedelta(hours=1))

    assert looked_back == [0, 0, 0, 6, 6, 12]


def test_a_long_past_is_looked_back_over_in_slices(
    delayed_shop: Shop,
    stripe: EmulatorServer,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database, stock_units=9)
    page = paid_by_debit(shop, stripe, mug)
    events.record_event(shop, event_about(page))
    pass_days(shop, stripe, clock, 16)
    for _ in range(5):
        stripe.pay(begin(shop, {mug: 1}).stripe_session_id)
        reconcile.reconcile(shop)
    stripe.settle(page.stripe_session_id, "succeed")
    monkeypatch.setattr(gateway, "_MOST_ROWS", 1)
    monkeypatch.setattr(reconcile, "SLICE_PAGES", 2)
    monkeypatch.setattr(pace, "CALLS_PER_SECOND", 10_000)
    clock.advance(hours=6)
    sold = []

    for _ in range(3):
        reconcile.reconcile(shop)
        sold.append(len(orders_of(shop.database)))

    assert sold == [5, 5, 6]
    assert looked_back_at(shop) == clock()


def test_a_slice_that_fails_begins_the_look_back_anew(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    reconcile.reconcile(shop)
    shop.database.write(
        lambda s: s.execute(update(Reconciled).values(look_on_after="cs_of_another"))
    )
    with pytest.raises(PaymentError):
        reconcile.reconcile(shop)
    clock.advance(hours=6)

    reconcile.reconcile(shop)

    assert looked_back_at(shop) == clock()
