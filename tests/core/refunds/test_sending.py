"""Refunds on their way to Stripe: each goes once, whatever is lost on the way."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from core.checkout import events, expiry
from core.errors import PaymentUnavailableError
from core.orders.views import OrderView
from core.payments.data import Event, RefundReport, SessionLine, SessionRequest
from core.refunds import owed, refunds, sending
from core.shop import Shop
from tests.core.money_back import WHO, key_of, kinds_of, order_in, refunds_in
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    assert_invariants,
    at_once,
    bought,
    form_of,
    to_dos_of,
)


@pytest.fixture
def order(shop: Shop, stripe: EmulatorServer) -> OrderView:
    """Give an order of 1250 cents that was paid at Stripe."""
    return bought(shop, stripe, {add_product(shop.database): 1})


def request(shop: Shop, order: OrderView, cents: int) -> int:
    return shop.database.write(
        lambda s: refunds.request_by_owner(
            s, order.number, cents, who=WHO, now=shop.clock()
        )
    )


def at_stripe(shop: Shop, order: OrderView) -> list[RefundReport]:
    return shop.gateway.refunds_of(order.payment_intent)


def event_of(order: OrderView, kind: str, object_id: str, number: int) -> Event:
    return Event(
        id=f"evt_r{number}",
        type=kind,
        object_id=object_id,
        object_type=kind.rsplit(".", 1)[0],
        payment_intent=order.payment_intent,
    )


def hear_of(shop: Shop, order: OrderView, kind: str, object_id: str) -> None:
    number = sum(map(ord, kind + object_id))
    events.record_event(shop, event_of(order, kind, object_id, number))


def test_a_refund_goes_to_stripe_as_it_was_asked_for(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    refund_id = request(shop, order, 500)

    sent = sending.send_refunds(shop)

    (call,) = stripe.requests("/v1/refunds")
    key = key_of(shop.database, refund_id)
    assert form_of(call) == {
        "payment_intent": order.payment_intent,
        "amount": "500",
        "metadata[refund_key]": key,
    }
    assert call["headers"]["Idempotency-Key"] == key
    (refund,) = refunds_in(shop.database)
    (made,) = at_stripe(shop, order)
    assert (sent, refund.status, refund.stripe_refund_id) == (1, "DONE", made.id)
    assert sending.send_refunds(shop) == 0


def test_the_sweep_sends_what_is_owed(shop: Shop, order: OrderView) -> None:
    for cents in (500, 750):
        request(shop, order, cents)

    expiry.sweep(shop)

    assert [refund.status for refund in refunds_in(shop.database)] == ["DONE"] * 2
    assert sorted(made.amount_cents for made in at_stripe(shop, order)) == [500, 750]
    assert order_in(shop.database).status == "REFUNDED"


def test_several_processes_that_send_at_once_send_it_once(
    shop: Shop, order: OrderView
) -> None:
    request(shop, order, 500)

    at_once([lambda: sending.send_refunds(shop)] * 4)
    sending.send_refunds(shop)

    (refund,) = refunds_in(shop.database)
    assert refund.status == "DONE"
    assert [made.amount_cents for made in at_stripe(shop, order)] == [500]
    assert to_dos_of(shop.database) == []


@pytest.mark.parametrize("kind", ["drop_after", "error_after"])
def test_a_refund_whose_answer_was_lost_goes_once(
    shop: Shop, stripe: EmulatorServer, order: OrderView, kind: str
) -> None:
    request(shop, order, 500)
    stripe.fault("refund", kind, times=0)
    lost = sending.send_refunds(shop)
    stripe.control("faults/clear")

    hear_of(shop, order, "refund.created", at_stripe(shop, order)[0].id)
    sending.send_refunds(shop)

    (refund,) = refunds_in(shop.database)
    assert (lost, refund.status) == (0, "DONE")
    assert [made.amount_cents for made in at_stripe(shop, order)] == [500]
    assert to_dos_of(shop.database) == []


def test_a_refund_whose_key_stripe_has_forgotten_is_found_and_not_made_again(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, order: OrderView
) -> None:
    request(shop, order, 500)
    stripe.fault("refund", "drop_after", times=0)
    sending.send_refunds(shop)
    stripe.control("faults/clear")
    clock.advance(hours=25)
    stripe.advance(25 * 3600)

    sending.send_refunds(shop)

    (refund,) = refunds_in(shop.database)
    (made,) = at_stripe(shop, order)
    assert (refund.status, refund.stripe_refund_id) == ("DONE", made.id)


def test_a_refund_that_stripe_never_heard_of_goes_a_day_later(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, order: OrderView
) -> None:
    request(shop, order, 500)
    stripe.fault("*", "status", status=502, times=0)
    sending.send_refunds(shop)
    stripe.control("faults/clear")
    clock.advance(hours=25)

    sending.send_refunds(shop)

    (refund,) = refunds_in(shop.database)
    assert refund.status == "DONE"
    assert [made.amount_cents for made in at_stripe(shop, order)] == [500]


@pytest.mark.parametrize("succeeds", [True, False], ids=["taken", "sent back"])
def test_what_the_bank_decides_days_later_is_noted(
    shop: Shop,
    stripe: EmulatorServer,
    clock: FakeClock,
    order: OrderView,
    *,
    succeeds: bool,
) -> None:
    stripe.next_refunds("pending")
    request(shop, order, 500)
    sending.send_refunds(shop)
    (before,) = refunds_in(shop.database)
    clock.advance(days=3)

    verdict = "succeed" if succeeds else "fail"
    stripe.control(f"refunds/{before.stripe_refund_id}/{verdict}")
    hear_of(shop, order, "refund.updated", before.stripe_refund_id or "")

    (after,) = refunds_in(shop.database)
    assert (before.status, after.status) == ("SENT", "DONE" if succeeds else "FAILED")
    assert order_in(shop.database).refunded_cents == (500 if succeeds else 0)
    assert kinds_of(to_dos_of(shop.database)) == ([] if succeeds else ["REFUND_FAILED"])


def test_a_refund_that_fails_without_a_message_is_found_by_looking(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    stripe.next_refunds("pending")
    request(shop, order, 500)
    sending.send_refunds(shop)
    (sent,) = refunds_in(shop.database)
    stripe.control(f"refunds/{sent.stripe_refund_id}/fail")

    sending.look_at_open_refunds(shop)

    (refund,) = refunds_in(shop.database)
    assert (refund.status, refund.failure) == ("FAILED", "lost_or_stolen_card")


def test_a_refund_that_fails_at_once_frees_its_sum(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    stripe.next_refunds("failed")
    request(shop, order, 1250)

    sending.send_refunds(shop)

    (refund,) = refunds_in(shop.database)
    after = order_in(shop.database)
    assert refund.status == "FAILED"
    assert (after.status, after.refunded_cents) == ("PAID", 0)
    assert kinds_of(to_dos_of(shop.database)) == ["REFUND_FAILED"]


def test_a_refund_that_stripe_refuses_fails_with_its_reason(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    stripe.dispute(order.stripe_session_id)
    request(shop, order, 1250)

    sent = sending.send_refunds(shop)

    (refund,) = refunds_in(shop.database)
    assert (sent, refund.status) == (0, "FAILED")
    assert "charge_disputed" in refund.failure
    assert order_in(shop.database).refunded_cents == 0
    assert kinds_of(to_dos_of(shop.database)) == ["REFUND_FAILED"]


@pytest.mark.parametrize("is_heard_of_first", [False, True])
def test_what_was_refunded_by_hand_before_we_sent_it_went_back_once(
    shop: Shop, stripe: EmulatorServer, order: OrderView, *, is_heard_of_first: bool
) -> None:
    request(shop, order, 1250)
    by_hand = stripe.refund(order.stripe_session_id)
    if is_heard_of_first:
        # What is left of the order is taken: Stripe is asked to tell of it again.
        with suppress(PaymentUnavailableError):
            hear_of(shop, order, "refund.created", by_hand["id"])

    expiry.sweep(shop)
    hear_of(shop, order, "charge.refunded", "ch_1")
    expiry.sweep(shop)

    after = order_in(shop.database)
    assert (after.status, after.refunded_cents) == ("REFUNDED", 1250)
    assert [made.id for made in at_stripe(shop, order)] == [by_hand["id"]]
    done = [each for each in refunds_in(shop.database) if each.status == "DONE"]
    assert [each.stripe_refund_id for each in done] == [by_hand["id"]]
    assert_invariants(shop.database)


def test_what_was_refunded_by_hand_in_two_parts_before_we_sent_it_went_back_once(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    request(shop, order, 1250)
    for cents in (500, 750):
        stripe.refund(order.stripe_session_id, amount=cents)

    expiry.sweep(shop)
    hear_of(shop, order, "charge.refunded", "ch_1")

    after = order_in(shop.database)
    assert (after.status, after.refunded_cents) == ("REFUNDED", 1250)
    assert sending.send_refunds(shop) == 0
    # The customer has all of it: the owner must not pay it another way.
    assert kinds_of(to_dos_of(shop.database)) == ["RESTOCK", "RESTOCK"]
    (failed,) = [each for each in refunds_in(shop.database) if each.status == "FAILED"]
    assert failed.failure == owed.SENT_BACK_BEFORE


def test_a_part_that_is_more_than_what_was_left_by_hand_fails(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    request(shop, order, 500)
    stripe.refund(order.stripe_session_id, amount=1000)

    expiry.sweep(shop)
    hear_of(shop, order, "charge.refunded", "ch_1")

    assert order_in(shop.database).refunded_cents == 1000
    assert {(each.amount_cents, each.status) for each in refunds_in(shop.database)} == {
        (500, "FAILED"),
        (1000, "DONE"),
    }
    # By hand more went back than was asked for here: of that nothing is owed.
    assert kinds_of(to_dos_of(shop.database)) == ["RESTOCK"]


def test_a_refund_made_at_stripe_is_noted_once_by_all_its_messages(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    made = stripe.refund(order.stripe_session_id, amount=500)
    told = [
        event_of(order, kind, object_id, number)
        for number, (kind, object_id) in enumerate(
            [
                ("refund.created", made["id"]),
                ("charge.refunded", made["charge"]),
                ("refund.created", made["id"]),
                ("refund.updated", made["id"]),
            ]
        )
    ]

    at_once([lambda each=each: events.record_event(shop, each) for each in told])  # type: ignore[misc]  # a default binds it
    for each in told:
        events.record_event(shop, each)

    (refund,) = refunds_in(shop.database)
    assert (refund.cause, refund.status, refund.amount_cents) == ("STRIPE", "DONE", 500)
    assert order_in(shop.database).refunded_cents == 500
    assert kinds_of(to_dos_of(shop.database)) == ["RESTOCK"]
    assert_invariants(shop.database)


def test_a_refund_of_a_payment_that_was_not_made_here_is_passed_over(
    shop: Shop, stripe: EmulatorServer, order: OrderView
) -> None:
    elsewhere = SessionRequest(
        checkout_id=999,
        idempotency_key="elsewhere",
        lines=(SessionLine("Theepot", 4595, "eur", 1),),
        expires_at=shop.clock() + timedelta(hours=1),
        locale="nl",
        notice="",
        offer=shop.config.offer,
    )
    session = shop.gateway.create(elsewhere)
    paid = stripe.pay(session.id)["session"]
    made = stripe.refund(session.id)
    theirs = event_of(order, "refund.created", made["id"], 1)

    events.record_event(shop, replace(theirs, payment_intent=paid["payment_intent"]))

    assert refunds_in(shop.database) == []
    assert to_dos_of(shop.database) == []
