"""Money that buys nothing, and money that goes back."""

from collections.abc import Callable

import pytest
import requests
import stripe as package
from sqlalchemy import select

from core.checkout import events, expiry, reconcile
from core.checkout.payment_page import PaymentPage
from core.errors import PaymentUnavailableError
from core.models.checkout import CONFIRMED, EXPIRED, PENDING
from core.models.mail import Mail
from core.payments import retry
from core.payments.data import Event
from core.refunds import refunds, sending
from core.refunds import views as refund_views
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed
from tests.core.money_back import WHO, kinds_of, order_in
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
    levels,
    orders_of,
    refunds_of,
    status_of,
    to_dos_of,
)

PAYER = "test@example.com"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package try again at once: how often it does stays the same."""
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_SECONDS", 0.001)


def paid_late(
    shop: Shop, stripe: EmulatorServer, mug: int, *, are_units_free: bool
) -> PaymentPage:
    """Pay for a unit whose hold has ended, here alone, as after a restored backup."""
    page = begin(shop, {mug: 1})
    shop.database.write_single(
        lambda session: reservations.end(
            session, page.checkout_id, Closed(EXPIRED, "a test"), now=shop.clock()
        )
    )
    if not are_units_free:
        begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    return page


def twin_of(shop: Shop, stripe: EmulatorServer, page: PaymentPage) -> PaymentPage:
    """Have Stripe make a second page of one checkout: the same, under another key."""
    reference = f"client_reference_id={page.checkout_id}&"
    (body,) = (
        call["body"]
        for call in stripe.requests("/v1/checkout/sessions")
        if reference in call["body"]
    )
    headers = {
        "Authorization": f"Bearer {shop.config.stripe_secret_key}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Idempotency-Key": "another",
        "Stripe-Version": package.api_version,
    }
    answer = requests.post(
        f"{stripe.url}/v1/checkout/sessions", body, headers=headers, timeout=20
    )
    answer.raise_for_status()
    session = answer.json()
    return PaymentPage(page.checkout_id, session["id"], session["url"], page.expires_at)


def refund_keys(stripe: EmulatorServer) -> list[str]:
    """Return the key of each refund that Stripe was asked for."""
    return [
        call["headers"]["Idempotency-Key"]
        for call in stripe.requests("/v1/refunds")
        if call["method"] == "POST"
    ]


def letters(shop: Shop) -> list[tuple[str, str]]:
    """Return kind and recipient of the letters in the outbox, the oldest first."""
    rows = ask(shop.database, lambda s: s.scalars(select(Mail).order_by(Mail.id)).all())
    return [(row.kind, row.recipient) for row in rows]


def about(payment_intent: str, kind: str, object_id: str, number: int) -> Event:
    """Return an event about a refund or a dispute of a payment."""
    return Event(
        id=f"evt_late_{number}",
        type=kind,
        object_id=object_id,
        object_type=kind.rsplit(".", 1)[0],
        payment_intent=payment_intent,
    )


def tell_all(shop: Shop, page: PaymentPage) -> None:
    """Tell of a payment from every side, and several times."""
    for number in (1, 2):
        events.record_event(shop, event_about(page, number=number))
        events.settle_returned(shop, page.stripe_session_id)
        reconcile.reconcile(shop)
        expiry.sweep(shop)


def test_late_money_whose_units_are_free_is_an_order_and_nothing_to_do(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=True)

    tell_all(shop, page)

    order = order_in(shop.database)
    assert (order.stripe_session_id, order.was_late) == (page.stripe_session_id, True)
    assert (order.status, order.refunded_cents) == ("PAID", 0)
    assert letters(shop) == [("ORDER", PAYER)]
    assert to_dos_of(shop.database) == []
    assert refund_keys(stripe) == []
    assert_invariants(shop.database)


def test_late_money_whose_units_are_gone_goes_back_once_and_both_are_told(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=False)

    tell_all(shop, page)

    assert orders_of(shop.database) == []
    (refund,) = refunds_of(shop)
    assert (refund.status, refund.cause, refund.amount_cents) == (
        "DONE",
        "AUTOMATIC",
        1250,
    )
    assert [each.id for each in shop.gateway.refunds_of(refund.payment_intent)] == [
        refund.stripe_refund_id
    ]
    (entry,) = to_dos_of(shop.database)
    assert (entry.kind, entry.stripe_id) == ("TOO_LATE", page.stripe_session_id)
    assert (entry.payment_intent, entry.amount_cents) == (refund.payment_intent, 1250)
    assert sorted(letters(shop)) == [("REFUND", PAYER), ("TO_DO", "")]
    assert refund_keys(stripe) == [f"refund-{page.stripe_session_id}"]
    assert levels(shop.database, mug) == (1, 1)
    assert_invariants(shop.database)


@pytest.mark.parametrize("are_units_free", [True, False], ids=["free", "gone"])
def test_many_who_tell_of_late_money_at_once_end_it_once(
    shop: Shop, stripe: EmulatorServer, *, are_units_free: bool
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=are_units_free)
    calls: list[Callable[[], object]] = [
        lambda: events.record_event(shop, event_about(page, number=1)),
        lambda: events.record_event(shop, event_about(page, number=2)),
        lambda: events.settle_returned(shop, page.stripe_session_id),
        lambda: reconcile.reconcile(shop),
    ]

    outcomes = at_once(calls * 2)

    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert len(orders_of(shop.database)) == are_units_free
    made = [each.status for each in refunds_of(shop)]
    assert made == ([] if are_units_free else ["DONE"])
    if not are_units_free:
        (refund,) = refunds_of(shop)
        assert len(shop.gateway.refunds_of(refund.payment_intent)) == 1
    assert_invariants(shop.database)


def test_late_money_waits_while_stripe_cannot_tell_of_the_overdue_hold_in_its_way(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    """A hold that is over and cannot be closed now is no proof that units are gone."""
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=False)
    clock.advance(minutes=16)
    stripe.fault("expire", "error_before", times=0)

    with pytest.raises(PaymentUnavailableError):
        events.record_event(shop, event_about(page))

    assert refunds_of(shop) == []
    stripe.control("faults/clear")
    events.record_event(shop, event_about(page))
    assert order_in(shop.database).stripe_session_id == page.stripe_session_id
    assert refunds_of(shop) == []
    assert to_dos_of(shop.database) == []
    assert_invariants(shop.database)


def test_late_money_that_was_sent_back_by_hand_is_not_sent_back_again(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=True)
    by_hand = stripe.refund(page.stripe_session_id)

    tell_all(shop, page)

    assert orders_of(shop.database) == []
    (refund,) = refunds_of(shop)
    assert (refund.status, refund.stripe_refund_id) == ("DONE", by_hand["id"])
    made = shop.gateway.refunds_of(refund.payment_intent)
    assert [each.id for each in made] == [by_hand["id"]]
    assert levels(shop.database, mug) == (1, 0)


def test_a_refund_of_late_money_that_fails_later_is_entered_and_tried_again(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=False)
    stripe.next_refunds("pending")
    events.record_event(shop, event_about(page))
    (sent,) = refunds_of(shop)
    clock.advance(days=4)
    stripe.control(f"refunds/{sent.stripe_refund_id}/fail")
    refund_id = sent.stripe_refund_id or ""

    for number, kind in enumerate(("refund.updated", "refund.failed")):
        told = about(sent.payment_intent, kind, refund_id, number)
        events.record_event(shop, told)

    (failed,) = refunds_of(shop)
    assert (sent.status, failed.status) == ("SENT", "FAILED")
    assert kinds_of(to_dos_of(shop.database)) == ["TOO_LATE", "REFUND_FAILED"]
    assert letters(shop).count(("TO_DO", "")) == 2
    shop.database.write(
        lambda s: refunds.request_again(s, failed.id, who=WHO, now=shop.clock())
    )
    sending.send_refunds(shop)
    assert sorted(each.status for each in refunds_of(shop)) == ["DONE", "FAILED"]


@pytest.mark.parametrize("teller", ["events", "reconcile", "at once"])
@pytest.mark.parametrize("first", [0, 1], ids=["the page first", "the twin first"])
def test_of_two_payments_for_one_cart_one_is_sold_and_the_other_goes_back(
    shop: Shop, stripe: EmulatorServer, first: int, teller: str
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    pages = [page, twin_of(shop, stripe, page)]
    for each in pages:
        stripe.pay(each.stripe_session_id)
    tell: list[Callable[[], object]] = [
        lambda each=each: events.settle_returned(shop, each.stripe_session_id)  # type: ignore[misc]  # a default binds it
        for each in (pages[first], pages[1 - first])
    ]

    if teller == "at once":
        at_once(tell * 2)
    if teller == "events":
        for call in tell:
            call()
    for _ in range(2):
        reconcile.reconcile(shop)

    order = order_in(shop.database)
    (refund,) = refunds_of(shop)
    assert {order.stripe_session_id, refund.stripe_session_id} == {
        each.stripe_session_id for each in pages
    }
    assert (refund.status, refund.amount_cents) == ("DONE", 2500)
    assert kinds_of(to_dos_of(shop.database)) == ["PAID_TWICE"]
    assert levels(shop.database, mug) == (3, 0)
    assert_invariants(shop.database)


def test_the_refund_of_the_second_payment_leaves_the_good_order_alone(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    twin = twin_of(shop, stripe, page)
    for each in (page, twin):
        stripe.pay(each.stripe_session_id)
        events.settle_returned(shop, each.stripe_session_id)
    (refund,) = refunds_of(shop)

    for number, kind in enumerate(events.ABOUT_REFUNDS):
        told = about(refund.payment_intent, kind, refund.stripe_refund_id or "", number)
        events.record_event(shop, told)

    order = order_in(shop.database)
    assert (order.stripe_session_id, order.status) == (page.stripe_session_id, "PAID")
    assert order.refunded_cents == 0
    assert status_of(shop.database, page.checkout_id) == CONFIRMED
    assert kinds_of(to_dos_of(shop.database)) == ["PAID_TWICE"]
    assert len(refunds_of(shop)) == 1
    assert levels(shop.database, mug) == (3, 0)
    assert_invariants(shop.database)


def test_a_lost_dispute_is_shown_with_its_order_which_stands(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    order = bought(shop, stripe, {mug: 1})
    dispute_id = stripe.dispute(order.stripe_session_id)["id"]
    stripe.close_dispute(dispute_id, "lost")

    # It may be lost already when it is first heard of.
    reconcile.reconcile(shop)

    (dispute,) = ask(shop.database, refund_views.disputes)
    assert (dispute.status, dispute.checkout_id) == ("lost", order.checkout_id)
    assert kinds_of(to_dos_of(shop.database)) == ["DISPUTED"]
    assert order_in(shop.database).status == "PAID"
    assert levels(shop.database, mug) == (4, 0)


def test_a_hold_is_not_touched_by_a_refund_of_somebody_elses_payment(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    order = bought(shop, stripe, {mug: 1})
    page = begin(shop, {mug: 1})
    by_hand = stripe.refund(order.stripe_session_id)

    events.record_event(
        shop, about(order.payment_intent, "charge.refunded", by_hand["id"], 1)
    )

    assert order_in(shop.database).status == "REFUNDED"
    assert kinds_of(to_dos_of(shop.database)) == ["RESTOCK"]
    assert status_of(shop.database, page.checkout_id) == PENDING
    # Whether the goods come back is asked, never assumed.
    assert levels(shop.database, mug) == (4, 1)
