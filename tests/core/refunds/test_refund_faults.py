"""Refunds when Stripe refuses to tell, plays an error again, or is never ready."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.checkout import events, expiry, reconcile
from core.checkout.payment_page import PaymentPage
from core.models.checkout import EXPIRED
from core.models.mail import Mail
from core.payments import retry
from core.payments.data import Event
from core.refunds import owed, sending, stripe_reports
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed
from tests.core.money_back import key_of, kinds_of, order_in, refunds_in
from tests.core.refunds.test_sending import at_stripe, request
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    at_once,
    begin,
    bought,
    event_about,
    orders_of,
    refunds_of,
    to_dos_of,
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_SECONDS", 0.001)


def pass_time(clock: FakeClock, stripe: EmulatorServer, **by: float) -> None:
    clock.advance(**by)
    stripe.advance(timedelta(**by).total_seconds())


def paid_too_late(shop: Shop, stripe: EmulatorServer) -> PaymentPage:
    """Pay for a unit whose hold has ended, and that somebody else holds by now."""
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    shop.database.write_single(
        lambda session: reservations.end(
            session, page.checkout_id, Closed(EXPIRED, "a test"), now=shop.clock()
        )
    )
    begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    return page


def test_a_refusal_to_list_refunds_is_no_verdict_on_one_of_them(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})
    request(shop, order, 500)
    stripe.fault("refund", "drop_after", times=0)
    sending.send_refunds(shop)
    stripe.control("faults/clear")
    pass_time(clock, stripe, hours=25)
    stripe.fault("list_refunds", "status", status=401)

    sending.send_refunds(shop)
    (refused,) = refunds_in(shop.database)
    pass_time(clock, stripe, hours=1)
    sending.send_refunds(shop)

    (refund,) = refunds_in(shop.database)
    assert (refused.status, refund.status) == ("REQUESTED", "DONE")
    assert [made.amount_cents for made in at_stripe(shop, order)] == [500]


def test_an_error_that_stripe_plays_again_for_a_day_does_not_keep_late_money(
    shop: Shop, stripe: EmulatorServer
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.fault("refund", "error_before")

    events.record_event(shop, event_about(page))

    (refund,) = refunds_of(shop)
    assert refund.status == "DONE"
    (made,) = shop.gateway.refunds_of(refund.payment_intent)
    assert (made.id, made.amount_cents) == (refund.stripe_refund_id, 1250)


def test_an_error_after_the_refund_was_made_sends_late_money_back_once(
    shop: Shop, stripe: EmulatorServer
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.fault("refund", "error_after")
    stripe.fault("list_refunds", "status", status=500)

    events.record_event(shop, event_about(page))
    expiry.sweep(shop)

    (refund,) = refunds_of(shop)
    assert refund.status == "DONE"
    (made,) = shop.gateway.refunds_of(refund.payment_intent)
    assert made.id == refund.stripe_refund_id


def test_a_part_that_went_back_by_hand_is_not_sent_back_again(
    shop: Shop, stripe: EmulatorServer
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.refund(page.stripe_session_id, amount=500)

    events.record_event(shop, event_about(page))

    reconcile.reconcile(shop)

    by_hand, ours = sorted(refunds_of(shop), key=lambda each: each.amount_cents)
    assert (ours.status, ours.amount_cents, ours.cause) == ("DONE", 750, "AUTOMATIC")
    assert (by_hand.status, by_hand.amount_cents, by_hand.cause) == (
        "DONE",
        500,
        "STRIPE",
    )
    assert kinds_of(to_dos_of(shop.database)) == ["TOO_LATE"]
    made = shop.gateway.refunds_of(ours.payment_intent)
    assert sorted(each.amount_cents for each in made) == [500, 750]


def test_late_money_that_went_back_by_hand_in_parts_is_owed_to_nobody(
    shop: Shop, stripe: EmulatorServer
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.fault("refund", "status", status=429, times=0)
    events.record_event(shop, event_about(page))
    for cents in (500, 750):
        stripe.refund(page.stripe_session_id, amount=cents)
    stripe.control("faults/clear")

    expiry.sweep(shop)
    reconcile.reconcile(shop)

    (ours,) = [each for each in refunds_of(shop) if each.cause == "AUTOMATIC"]
    assert (ours.status, ours.failure) == ("FAILED", owed.SENT_BACK_BEFORE)
    assert kinds_of(to_dos_of(shop.database)) == ["TOO_LATE"]
    told = ask(
        shop.database,
        lambda s: s.scalars(select(Mail.kind).where(Mail.refund_id.is_not(None))).all(),
    )
    assert sorted(told) == ["REFUND", "REFUND"]


def test_a_refund_by_hand_that_failed_is_not_taken_for_the_one_that_was_owed(
    shop: Shop, stripe: EmulatorServer
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.fault("refund", "status", status=429, times=0)
    events.record_event(shop, event_about(page))
    failed = stripe.refund(page.stripe_session_id)
    stripe.control(f"refunds/{failed['id']}/fail")
    for cents in (500, 750):
        stripe.refund(page.stripe_session_id, amount=cents)
    stripe.control("faults/clear")

    expiry.sweep(shop)

    (ours,) = [each for each in refunds_of(shop) if each.cause == "AUTOMATIC"]
    assert (ours.stripe_refund_id, ours.failure) == (None, owed.SENT_BACK_BEFORE)
    # The customer has all of it, and the owner must not pay it another way.
    assert kinds_of(to_dos_of(shop.database)) == ["TOO_LATE"]


def test_a_refund_by_hand_that_fails_while_we_look_for_it_lets_ours_be_sent(
    shop: Shop, stripe: EmulatorServer
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.fault("refund", "status", status=429, times=0)
    events.record_event(shop, event_about(page))
    by_hand = stripe.refund(page.stripe_session_id)
    stripe.control("faults/clear")
    stripe.barrier("list_refunds")

    with ThreadPoolExecutor(1) as aside:
        sent = aside.submit(sending.send_refunds, shop)
        stripe.wait_for_waiter("list_refunds")
        stripe.control(f"refunds/{by_hand['id']}/fail")
        stripe.release("list_refunds")
        assert sent.result() == 1

    (ours,) = refunds_of(shop)
    made = {
        each.id: each.status for each in shop.gateway.refunds_of(ours.payment_intent)
    }
    assert (ours.status, ours.stripe_refund_id) == ("DONE", next(iter(made)))
    assert [*made.values()] == ["succeeded", "failed"]


def test_a_refund_by_hand_that_fails_does_not_end_ours(
    shop: Shop, stripe: EmulatorServer
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.fault("refund", "status", status=401, times=0)
    events.record_event(shop, event_about(page))
    stripe.control("faults/clear")
    (refund,) = refunds_of(shop)
    by_hand = stripe.refund(page.stripe_session_id)
    stripe.control(f"refunds/{by_hand['id']}/fail")

    events.record_event(
        shop,
        Event(
            "evt_r",
            "refund.failed",
            by_hand["id"],
            object_type="refund",
            payment_intent=refund.payment_intent,
        ),
    )
    expiry.sweep(shop)

    told = {each.cause: each.status for each in refunds_of(shop)}
    assert told == {"AUTOMATIC": "DONE", "STRIPE": "FAILED"}
    made = shop.gateway.refunds_of(refund.payment_intent)
    assert sorted(each.status for each in made) == ["failed", "succeeded"]


def test_a_refund_that_never_goes_is_entered_after_a_day_and_tried_ever_rarer(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})
    request(shop, order, 500)
    stripe.fault("refund", "status", status=403, times=0)

    for _ in range(25 * 12):
        expiry.sweep(shop)
        pass_time(clock, stripe, minutes=5)

    (entry,) = to_dos_of(shop.database)
    assert (entry.kind, entry.amount_cents) == ("REFUND_WAITS", 500)
    assert len(stripe.requests("/v1/refunds")) < 50
    stripe.control("faults/clear")
    pass_time(clock, stripe, hours=1)
    expiry.sweep(shop)
    (refund,) = refunds_in(shop.database)
    assert refund.status == "DONE"
    assert [made.amount_cents for made in at_stripe(shop, order)] == [500]


def test_the_answer_to_a_refund_and_its_event_at_once_note_it_once(
    shop: Shop, stripe: EmulatorServer
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})
    refund_id = request(shop, order, 500)
    key = key_of(shop.database, refund_id)
    made = shop.gateway.refund(order.payment_intent, 500, key=key)
    noted, go_on = threading.Event(), threading.Event()

    def note_the_answer() -> None:
        def work(session: Session) -> None:
            stripe_reports.take_answer(session, refund_id, made, now=shop.clock())
            noted.set()
            # The event is at the same row by then: it cannot end before this does.
            go_on.wait(0.5)

        shop.database.write(work)

    def hear_of_it() -> None:
        noted.wait(10)
        events.record_event(
            shop,
            Event(
                "evt_r",
                "refund.created",
                made.id,
                object_type="refund",
                payment_intent=order.payment_intent,
            ),
        )
        go_on.set()

    assert at_once([note_the_answer, hear_of_it]) == [None, None]
    (refund,) = refunds_in(shop.database)
    assert (refund.id, refund.stripe_refund_id) == (refund_id, made.id)
    assert order_in(shop.database).refunded_cents == 500
    assert_invariants(shop.database)


def test_refunds_their_events_and_a_pass_at_once_lose_nothing(
    shop: Shop, stripe: EmulatorServer
) -> None:
    for number in range(10):
        page = begin(shop, {add_product(shop.database): 1})
        stripe.pay(page.stripe_session_id)
        events.record_event(shop, event_about(page, number=100 + number))
        order = orders_of(shop.database)[0]
        request(shop, order, 500)
        told = [
            Event(
                f"evt_{number}_{each}",
                "refund.created",
                f"re_{each}",
                object_type="refund",
                payment_intent=order.payment_intent,
            )
            for each in range(3)
        ]

        outcomes = at_once(
            [
                lambda: sending.send_refunds(shop),
                lambda: reconcile.reconcile(shop),
                *(
                    lambda event=event: events.record_event(shop, event)
                    for event in told
                ),
            ]
        )

        assert [each for each in outcomes if isinstance(each, Exception)] == []
    made = refunds_in(shop.database)
    assert [(each.status, each.amount_cents) for each in made] == [("DONE", 500)] * 10


def test_the_keys_of_late_money_follow_from_its_session(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    page = paid_too_late(shop, stripe)
    stripe.fault("refund", "error_before", times=0)
    events.record_event(shop, event_about(page))
    for _ in range(2):
        pass_time(clock, stripe, seconds=10)
        expiry.sweep(shop)
        expiry.sweep(shop)
    stripe.control("faults/clear")
    pass_time(clock, stripe, seconds=10)
    expiry.sweep(shop)

    asked = dict.fromkeys(
        call["headers"]["Idempotency-Key"]
        for call in stripe.requests("/v1/refunds")
        if call["method"] == "POST"
    )
    first, *others = asked
    assert first == f"refund-{page.stripe_session_id}"
    assert others == [f"{first}-again-{turn}" for turn in (0, 1, 2, 3)]
    (refund,) = refunds_in(shop.database)
    assert refund.status == "DONE"
