from dataclasses import replace

import pytest

from core.checkout import events, expiry, settlement
from core.checkout.payment_page import PaymentPage, Visitor
from core.models.checkout import CANCELLED, CONFIRMED, PENDING
from core.refunds import sending
from core.shop import Shop
from core.stock import ledger, reservations
from core.stock.reservations import Closed
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    assert_invariants,
    begin,
    event_about,
    levels,
    orders_of,
    refunds_of,
    status_of,
)


def end_here_only(shop: Shop, page: PaymentPage) -> None:
    """End a hold without Stripe, as a bug or an owner's edit might."""
    shop.database.write(
        lambda session: reservations.end(
            session, page.checkout_id, Closed(CANCELLED, "test"), now=shop.clock()
        )
    )


def paid_too_late(shop: Shop, stripe: EmulatorServer, mug: int) -> PaymentPage:
    """Pay for a unit whose hold had ended, and that somebody else holds by then."""
    page = begin(shop, {mug: 1})
    end_here_only(shop, page)
    begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    return page


def test_late_money_takes_free_units_again(shop: Shop, stripe: EmulatorServer) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    end_here_only(shop, page)
    stripe.pay(page.stripe_session_id)

    for number in (1, 2):
        events.record_event(shop, event_about(page, number=number))

    (order,) = orders_of(shop.database)
    assert order.was_late
    assert status_of(shop.database, page.checkout_id) == CONFIRMED
    assert levels(shop.database, mug) == (3, 0)
    assert refunds_of(shop) == []
    assert_invariants(shop.database)


def test_late_money_stands_beside_the_page_that_the_visitor_has_open_again(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    anna = Visitor("anna", "127.0.0.1", "nl")
    first = begin(shop, {mug: 2}, anna)
    end_here_only(shop, first)
    second = begin(shop, {mug: 1}, anna)
    stripe.pay(first.stripe_session_id)

    events.record_event(shop, event_about(first))

    assert [order.was_late for order in orders_of(shop.database)] == [True]
    assert status_of(shop.database, first.checkout_id) == CONFIRMED
    assert status_of(shop.database, second.checkout_id) == PENDING
    assert levels(shop.database, mug) == (3, 1)
    assert_invariants(shop.database)


def test_late_money_whose_units_are_gone_goes_back_once(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=2)
    bowl = add_product(shop.database, stock_units=5)
    page = begin(shop, {mug: 1, bowl: 1})
    end_here_only(shop, page)
    begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)

    for number in (1, 2):
        events.record_event(shop, event_about(page, number=number))

    assert orders_of(shop.database) == []
    assert status_of(shop.database, page.checkout_id) == CANCELLED
    (refund,) = refunds_of(shop)
    assert refund.status == "DONE"
    assert refund.amount_cents == 2500
    assert refund.stripe_session_id == page.stripe_session_id
    assert len(stripe.requests("/v1/refunds")) == 1
    assert levels(shop.database, mug) == (2, 2)
    assert levels(shop.database, bowl) == (5, 0)
    assert_invariants(shop.database)


def test_a_refund_that_stripe_did_not_answer_is_sent_again_under_its_key(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_too_late(shop, stripe, mug)
    stripe.fault("refund", "drop_after", times=3)
    events.record_event(shop, event_about(page))

    before = refunds_of(shop)
    sending.send_refunds(shop)

    assert [refund.status for refund in before] == ["REQUESTED"]
    assert [refund.status for refund in refunds_of(shop)] == ["DONE"]
    keys = {
        call["headers"]["Idempotency-Key"] for call in stripe.requests("/v1/refunds")
    }
    assert keys == {f"refund-{page.stripe_session_id}"}


def test_money_that_is_going_back_does_not_become_an_order_when_units_return(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_too_late(shop, stripe, mug)
    events.record_event(shop, event_about(page))
    shop.database.write(
        lambda session: ledger.receive(session, mug, 5, now=shop.clock())
    )

    events.record_event(shop, event_about(page, number=2))

    assert orders_of(shop.database) == []
    assert len(refunds_of(shop)) == 1


def test_late_money_takes_the_units_of_an_overdue_hold_rather_than_go_back(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    end_here_only(shop, page)
    begin(shop, {mug: 1})
    clock.advance(minutes=16)
    stripe.pay(page.stripe_session_id)

    events.record_event(shop, event_about(page))

    assert len(orders_of(shop.database)) == 1
    assert refunds_of(shop) == []
    assert_invariants(shop.database)


def test_late_money_reclaims_as_many_overdue_holds_as_it_needs(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=20)
    page = begin(shop, {mug: 12})
    end_here_only(shop, page)
    for _ in range(20):
        begin(shop, {mug: 1})
    clock.advance(minutes=16)
    stripe.pay(page.stripe_session_id)

    events.record_event(shop, event_about(page))

    assert len(orders_of(shop.database)) == 1
    assert refunds_of(shop) == []
    assert_invariants(shop.database)


def test_late_money_looks_behind_overdue_holds_whose_payment_is_on_its_way(
    delayed_shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database, stock_units=settlement.RECLAIM_BATCH + 1)
    late = begin(shop, {mug: 1})
    end_here_only(shop, late)
    for _ in range(settlement.RECLAIM_BATCH):
        page = begin(shop, {mug: 1})
        stripe.pay(page.stripe_session_id, "sepa_debit", wait=False)
    clock.advance(seconds=5)
    begin(shop, {mug: 1})
    clock.advance(minutes=16)
    stripe.pay(late.stripe_session_id, wait=False)

    events.record_event(shop, event_about(late))

    assert len(orders_of(shop.database)) == 1
    assert refunds_of(shop) == []
    assert_invariants(shop.database)


def test_a_second_payment_of_one_checkout_goes_back_and_leaves_the_order_alone(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page, other = begin(shop, {mug: 1}), begin(shop, {mug: 1})
    for each in (page, other):
        stripe.pay(each.stripe_session_id)
    events.record_event(shop, event_about(page))
    second = shop.gateway.retrieve(other.stripe_session_id)
    assert second is not None

    for _ in range(2):
        settlement.settle(shop, page.checkout_id, second)

    (order,) = orders_of(shop.database)
    (refund,) = refunds_of(shop)
    assert order.stripe_session_id == page.stripe_session_id
    assert refund.stripe_session_id == other.stripe_session_id
    assert refund.status == "DONE"


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refund_that_stripe_does_not_judge_is_tried_again(
    shop: Shop, stripe: EmulatorServer, status: int
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_too_late(shop, stripe, mug)
    stripe.fault("refund", "status", status=status, times=0)
    events.record_event(shop, event_about(page))
    stripe.control("faults/clear")

    expiry.sweep(shop)

    (refund,) = refunds_of(shop)
    assert refund.status == "DONE"


def test_a_payment_that_cannot_be_sent_back_is_left_for_a_person(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_too_late(shop, stripe, mug)
    paid = shop.gateway.retrieve(page.stripe_session_id)
    assert paid is not None

    settlement.settle(shop, page.checkout_id, replace(paid, payment_intent=None))

    (refund,) = refunds_of(shop)
    assert refund.status == "FAILED"
