"""What the history of an order, or of money without one, tells of each step."""

from datetime import timedelta

from core.checkout import events
from core.mail import outbox
from core.orders.views import OrderView
from core.owner import history
from core.owner.history import Step
from core.payments.data import Event
from core.refunds import refunds, sending
from core.shop import Shop
from tests.core.checkout.test_late import PAYER, about, paid_late
from tests.core.mailing import words
from tests.core.money_back import WHO, order_in, refunds_in
from tests.emulator import EmulatorServer
from tests.factories import (
    COMPLETED,
    FakeClock,
    add_product,
    ask,
    begin,
    bought,
    event_about,
    refunds_of,
)


def steps_of(shop: Shop, checkout_id: int) -> list[Step]:
    return ask(shop.database, lambda s: history.steps(s, checkout_id))


def refund_that_fails(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, order: OrderView
) -> str:
    """Send 5 euro back; the bank says no three days later. Return the refund's id."""
    stripe.next_refunds("pending")
    shop.database.write(
        lambda s: refunds.request_by_owner(
            s, order.number, 500, reason="chipped", who=WHO, now=shop.clock()
        )
    )
    sending.send_refunds(shop)
    (refund,) = refunds_in(shop.database)
    refund_id = refund.stripe_refund_id or ""
    clock.advance(days=3)
    stripe.control(f"refunds/{refund_id}/fail")
    told = about(order.payment_intent, "refund.failed", refund_id, 1)
    events.record_event(shop, told)
    return refund_id


def dispute_that_is_lost(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, order: OrderView
) -> str:
    """Have a payment disputed, and lost twenty days later; return the dispute's id."""
    dispute_id: str = stripe.dispute(order.stripe_session_id)["id"]
    opened = about(order.payment_intent, "charge.dispute.created", dispute_id, 2)
    events.record_event(shop, opened)
    clock.advance(days=20)
    stripe.close_dispute(dispute_id, "lost")
    closed = about(order.payment_intent, "charge.dispute.closed", dispute_id, 3)
    events.record_event(shop, closed)
    return dispute_id


def test_the_history_of_an_order_tells_how_it_was_sold(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    page = begin(shop, {add_product(shop.database): 2})
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=2)
    events.record_event(shop, event_about(page))
    clock.advance(minutes=1)
    outbox.send_due(shop, words)

    told = steps_of(shop, page.checkout_id)

    paid = order_in(shop.database).payment_intent
    begun, sold = clock() - timedelta(minutes=3), clock() - timedelta(minutes=1)
    assert told[:2] == [
        Step(begun, "RESERVED"),
        Step(begun, "PAGE_MADE", stripe_id=page.stripe_session_id),
    ]
    assert sorted(told[2:-1], key=lambda step: step.what) == [
        Step(sold, "CONFIRMED", cause="paid"),
        Step(sold, "SOLD", stripe_id=paid, amount_cents=2500),
        Step(sold, COMPLETED, cause="PAID", stripe_id="evt_1"),
    ]
    assert told[-1] == Step(clock(), "MAILED_ORDER", cause=PAYER)


def test_the_history_of_an_order_tells_what_came_after_with_time_cause_and_ids(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 2})
    clock.advance(days=1)
    asked_at = clock()
    refund_id = refund_that_fails(shop, stripe, clock, order)
    failed_at = clock()
    clock.advance(days=1)
    opened_at = clock()
    dispute_id = dispute_that_is_lost(shop, stripe, clock, order)

    told = [step for step in steps_of(shop, order.checkout_id) if step.at >= asked_at]

    assert [step.at for step in told] == sorted(step.at for step in told)
    assert [step for step in told if step.what.startswith("REFUND")] == [
        Step(asked_at, "REFUND_REQUESTED", "OWNER: chipped", WHO, refund_id, 500),
        Step(failed_at, "REFUND_FAILED", "lost_or_stolen_card", "", refund_id, 500),
    ]
    assert [step for step in told if step.what == "DISPUTE"] == [
        Step(opened_at, "DISPUTE", "needs_response (fraudulent)", "", dispute_id),
        Step(clock(), "DISPUTE", "lost (fraudulent)", "", dispute_id),
    ]
    assert [(step.cause, step.at) for step in told if step.what == "ENTERED"] == [
        ("REFUND_FAILED", failed_at),
        ("DISPUTED", opened_at),
    ]
    heard = [step.what for step in told if "." in step.what]
    assert heard == ["refund.failed", "charge.dispute.created", "charge.dispute.closed"]


def test_the_history_of_late_money_tells_how_its_hold_had_ended(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=True)
    clock.advance(hours=2)

    events.record_event(shop, event_about(page))

    told = {step.what: step.cause for step in steps_of(shop, page.checkout_id)}
    assert told["EXPIRED"] == "a test"
    assert told["CONFIRMED"] == "paid late, units taken again"


def test_the_history_of_money_that_went_back_needs_no_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=False)
    events.record_event(shop, event_about(page))

    told = {step.what: step for step in steps_of(shop, page.checkout_id)}

    (refund,) = refunds_of(shop)
    assert told["REFUND_REQUESTED"].cause == "AUTOMATIC: TOO_LATE"
    assert told["REFUND_DONE"].stripe_id == refund.stripe_refund_id
    assert told["ENTERED"].cause == "TOO_LATE"
    assert "SOLD" not in told


def test_the_history_tells_that_stripe_reported_a_charge_as_refunded(
    shop: Shop, stripe: EmulatorServer
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})
    stripe.refund(order.stripe_session_id)
    charge = Event(
        "evt_charge",
        "charge.refunded",
        "ch_1",
        object_type="charge",
        payment_intent=order.payment_intent,
    )

    events.record_event(shop, charge)

    (heard,) = (
        step
        for step in steps_of(shop, order.checkout_id)
        if step.what == "charge.refunded"
    )
    assert heard.stripe_id == "evt_charge"
