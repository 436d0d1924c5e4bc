"""A payment arrives: messages in any number and order, and what it adds up to."""

import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from core.checkout import events, expiry, reconcile, settlement
from core.errors import NotFoundError
from core.models.checkout import CONFIRMED, EXPIRED
from core.models.mail import Mail
from core.models.orders import Order
from core.models.records import AMOUNT, StripeEvent
from core.payments.data import Event
from core.payments.offer import Offer, ShippingOption
from core.refunds import refunds
from core.shop import Shop
from tests.core.money_back import WHO, kinds_of, order_in
from tests.emulator import EmulatorServer
from tests.factories import (
    COMPLETED,
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    at_once,
    begin,
    event_about,
    levels,
    orders_of,
    status_of,
    to_dos_of,
)

SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"
PAYER = {
    "email": "anna@klant.example",
    "name": "Anna Bakker",
    "phone": "+31201234567",
    "address": {
        "line1": "Kade 1",
        "postal_code": "1011 AB",
        "city": "Amsterdam",
        "country": "NL",
    },
}


def noted(shop: Shop) -> list[tuple[str, str]]:
    """Return what the noted events did, and to which object."""
    rows = ask(shop.database, lambda s: s.scalars(select(StripeEvent)).all())
    return [(row.object_id, row.effect) for row in rows]


def letters(shop: Shop) -> list[str]:
    """Return the kinds of the letters in the outbox, the oldest first."""
    query = select(Mail.kind).order_by(Mail.id)
    return ask(shop.database, lambda s: list(s.scalars(query)))


def offering(shop: Shop, **offer: object) -> Shop:
    changed: Offer = replace(shop.config.offer, **offer)  # type: ignore[arg-type]  # passed on as they are
    return replace(shop, config=replace(shop.config, offer=changed))


def test_two_events_about_one_fact_are_noted_as_one(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)

    for number in (1, 2):
        events.record_event(shop, event_about(page, number=number))

    assert noted(shop) == [(page.stripe_session_id, COMPLETED)]
    assert len(orders_of(shop.database)) == 1
    assert letters(shop) == ["ORDER"]
    assert levels(shop.database, mug) == (4, 0)


def test_two_events_about_one_fact_at_once_are_noted_as_one(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    twins = [event_about(page, number=number) for number in (1, 2)]

    outcomes = at_once(
        [lambda each=each: events.record_event(shop, each) for each in twins * 4]  # type: ignore[misc]  # a default binds it
    )

    assert outcomes == [None] * 8
    assert noted(shop) == [(page.stripe_session_id, COMPLETED)]
    assert len(orders_of(shop.database)) == 1
    assert letters(shop) == ["ORDER"]
    assert_invariants(shop.database)


def test_after_the_return_page_the_event_is_noted_and_changes_nothing(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    events.settle_returned(shop, page.stripe_session_id)

    events.record_event(shop, event_about(page))

    assert noted(shop) == [(page.stripe_session_id, COMPLETED)]
    assert letters(shop) == ["ORDER"]
    assert levels(shop.database, mug) == (4, 0)


@pytest.mark.parametrize("outcome", ["succeed", "fail"])
@pytest.mark.parametrize(
    "turn",
    list(itertools.permutations(range(3))),
    ids=lambda turn: "".join(map(str, turn)),
)
def test_the_order_of_events_does_not_matter(
    delayed_shop: Shop, stripe: EmulatorServer, turn: tuple[int, ...], outcome: str
) -> None:
    shop = delayed_shop
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id, "sepa_debit")
    stripe.settle(page.stripe_session_id, outcome)
    later = SUCCEEDED if outcome == "succeed" else FAILED
    told = [
        event_about(page, kind, number)
        for number, kind in enumerate((COMPLETED, later, later))
    ]

    for number in turn:
        events.record_event(shop, told[number])

    is_sold = outcome == "succeed"
    assert len(orders_of(shop.database)) == is_sold
    ending = CONFIRMED if is_sold else EXPIRED
    assert status_of(shop.database, page.checkout_id) == ending
    assert levels(shop.database, mug) == (4 if is_sold else 5, 0)
    assert len(noted(shop)) == 2
    assert_invariants(shop.database)


TELLERS: dict[str, Callable[[Shop, str], object]] = {
    "sweep": lambda shop, _session: expiry.sweep(shop),
    "reconcile": lambda shop, _session: reconcile.reconcile(shop),
    "return page": events.settle_returned,
}


@pytest.mark.parametrize("teller", TELLERS)
def test_without_any_message_each_of_the_others_makes_the_order(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, teller: str
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=15)

    TELLERS[teller](shop, page.stripe_session_id)

    (order,) = orders_of(shop.database)
    assert (order.stripe_session_id, order.status) == (page.stripe_session_id, "PAID")
    assert letters(shop) == ["ORDER"]
    assert levels(shop.database, mug) == (3, 0)
    assert_invariants(shop.database)


def test_all_who_may_tell_of_one_payment_at_once_make_one_order(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=15)
    calls: list[Callable[[], object]] = [
        lambda teller=teller: teller(shop, page.stripe_session_id)  # type: ignore[misc]  # a default binds it
        for teller in TELLERS.values()
    ]
    calls.append(lambda: events.record_event(shop, event_about(page)))

    outcomes = at_once(calls * 2)

    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert len(orders_of(shop.database)) == 1
    assert letters(shop) == ["ORDER"]
    assert levels(shop.database, mug) == (3, 0)
    assert_invariants(shop.database)


def test_what_stripe_said_before_the_payment_undoes_no_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    before = shop.gateway.retrieve(page.stripe_session_id)
    assert before is not None
    stripe.pay(page.stripe_session_id)
    events.record_event(shop, event_about(page))

    for slow in (before, replace(before, status="expired", url=None)):
        settlement.settle(shop, page.checkout_id, slow)

    assert status_of(shop.database, page.checkout_id) == CONFIRMED
    assert levels(shop.database, mug) == (4, 0)
    assert len(orders_of(shop.database)) == 1


def test_a_session_that_is_not_ours_is_passed_over_and_logged(
    shop: Shop, stripe: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "core.checkout.events")
    foreign = Event("evt_foreign", COMPLETED, "cs_test_foreign", reference="order-12")

    events.record_event(shop, foreign)

    assert "evt_foreign" in caplog.text
    assert stripe.requests() == []
    assert (noted(shop), to_dos_of(shop.database)) == ([], [])


def test_an_event_of_another_api_version_is_acted_on_and_logged_as_an_error(
    shop: Shop, stripe: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)

    events.record_event(shop, replace(event_about(page), api_version="2020-08-27"))

    assert len(orders_of(shop.database)) == 1
    (error,) = [row for row in caplog.records if row.levelno == logging.ERROR]
    assert "2020-08-27" in error.getMessage()


@pytest.mark.parametrize(
    "bill",
    [
        {"subtotal_cents": 1, "total_cents": 1},
        {"currency": "usd"},
        {"total_cents": 2400},
        {"shipping_cents": 495},
        {"discount_cents": 100},
    ],
    ids=str,
)
def test_an_amount_that_does_not_add_up_is_an_order_that_a_person_looks_at(
    shop: Shop, stripe: EmulatorServer, bill: dict[str, object]
) -> None:
    mug = add_product(shop.database, price_cents=1250)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)
    paid = shop.gateway.retrieve(page.stripe_session_id)
    assert paid is not None
    other = replace(paid, bill=replace(paid.bill, **bill))  # type: ignore[arg-type]  # passed on as they are

    for _ in range(2):
        settlement.settle(shop, page.checkout_id, other)

    order = order_in(shop.database)
    assert (order.status, order.promised_cents) == ("REVIEW", 2500)
    (entry,) = to_dos_of(shop.database)
    assert (entry.kind, entry.order_id) == (AMOUNT, order.number)
    assert (entry.stripe_id, entry.payment_intent) == (
        page.stripe_session_id,
        order.payment_intent,
    )
    assert sorted(letters(shop)) == ["ORDER", "TO_DO"]
    assert levels(shop.database, mug) == (3, 0)


def test_a_promotion_code_is_in_the_order_and_calls_for_nobody(
    shop: Shop, stripe: EmulatorServer
) -> None:
    shop = offering(shop, promotion_codes=True)
    stripe.make_code("ZOMER", percent_off=20)
    mug = add_product(shop.database, price_cents=1250)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id, promotion_code="ZOMER")

    events.record_event(shop, event_about(page))

    order = order_in(shop.database)
    assert (order.status, order.promotion_code) == ("PAID", "ZOMER")
    assert (order.promised_cents, order.discount_cents) == (2500, 500)
    assert order.amount_cents == 2000
    assert to_dos_of(shop.database) == []
    assert letters(shop) == ["ORDER"]


def test_a_code_that_takes_everything_off_is_an_order_without_a_payment(
    shop: Shop, stripe: EmulatorServer
) -> None:
    shop = offering(shop, promotion_codes=True)
    stripe.make_code("ALLES", percent_off=100)
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id, promotion_code="ALLES")

    events.record_event(shop, event_about(page))

    order = order_in(shop.database)
    assert (order.status, order.amount_cents, order.payment_intent) == ("PAID", 0, "")
    assert (order.discount_cents, order.promotion_code) == (1250, "ALLES")
    assert to_dos_of(shop.database) == []
    assert levels(shop.database, mug) == (4, 0)
    with pytest.raises(NotFoundError):
        shop.database.write(
            lambda s: refunds.request_by_owner(
                s, order.number, 1, who=WHO, now=shop.clock()
            )
        )


def test_shipping_address_and_phone_are_in_the_order_as_stripe_has_them(
    shop: Shop, stripe: EmulatorServer
) -> None:
    ways = (ShippingOption("Afhalen", 0), ShippingOption("PostNL", 495))
    shop = offering(
        shop,
        shipping_countries=("NL", "BE"),
        shipping_options=ways,
        asks_phone=True,
        asks_terms=True,
    )
    mug = add_product(shop.database, price_cents=1250)
    page = begin(shop, {mug: 2})
    receiver = {**PAYER, "shipping_name": "Ben Bakker"}
    stripe.pay(page.stripe_session_id, payer=receiver, shipping="PostNL")

    events.record_event(shop, event_about(page))

    order = order_in(shop.database)
    assert (order.status, order.amount_cents) == ("PAID", 2995)
    assert (order.shipping_option, order.shipping_cents) == ("PostNL", 495)
    assert (order.customer_name, order.shipping_name) == ("Anna Bakker", "Ben Bakker")
    assert order.customer_email == "anna@klant.example"
    assert order.customer_phone == "+31201234567"
    assert order.shipping_address == PAYER["address"]
    row = ask(shop.database, lambda s: s.scalars(select(Order)).one())
    assert json.loads(row.billing_address) == PAYER["address"]
    assert kinds_of(to_dos_of(shop.database)) == []
