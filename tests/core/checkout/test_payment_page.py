from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from core.checkout import events, expiry, payment_page
from core.checkout.closing import Ending
from core.checkout.payment_page import PaymentPage, Visitor
from core.config import Limits
from core.errors import (
    EarlierPaidError,
    HoldEndedError,
    InsufficientStockError,
    InvalidQuantityError,
    PaymentError,
    PaymentUnavailableError,
    ProductNotFoundError,
    TooManyHoldsError,
)
from core.models.checkout import CANCELLED, CONFIRMED, EXPIRED, PENDING, Checkout
from core.owner import history
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    at_once,
    begin,
    form_of,
    levels,
    open_sessions,
    orders_of,
    sessions_at,
    status_of,
)

ANNA = Visitor("anna", "127.0.0.1", "nl")
BEN = Visitor("ben", "127.0.0.2", "en")


def test_a_checkout_reserves_and_gives_a_payment_page(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=5)

    page = begin(shop, {mug: 2}, ANNA)

    assert levels(shop.database, mug) == (5, 2)
    assert sessions_at(stripe)[page.stripe_session_id] == "open"
    assert page.expires_at == shop.clock() + timedelta(minutes=15)
    assert_invariants(shop.database)


def test_stripe_is_asked_for_what_was_committed(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, price_cents=1295, name="Mug")

    page = payment_page.begin(
        shop, {mug: 2}, visitor=ANNA, notice=lambda deadline: f"until {deadline}"
    )

    call = stripe.requests("/v1/checkout/sessions")[-1]
    with shop.database.read() as session:
        row = session.get_one(Checkout, page.checkout_id)
    assert call["headers"]["Idempotency-Key"] == row.idempotency_key
    form = form_of(call)
    assert form["client_reference_id"] == str(row.id)
    assert form["metadata[checkout_key]"] == row.idempotency_key
    assert form["payment_intent_data[metadata][checkout_key]"] == row.idempotency_key
    assert form["expires_at"] == str(int(row.stripe_expires_at.timestamp()))
    assert form["line_items[0][price_data][unit_amount]"] == "1295"
    assert form["line_items[0][quantity]"] == "2"
    assert form["custom_text[submit][message]"] == f"until {row.expires_at}"
    assert form["locale"] == "nl"


def test_stripes_own_end_is_31_to_35_minutes_away_and_after_the_hold(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    long_hold = replace(
        shop, config=replace(shop.config, hold_for=timedelta(minutes=60))
    )

    short = begin(shop, {mug: 1}, ANNA)
    long = begin(long_hold, {mug: 1}, BEN)

    with shop.database.read() as session:
        ends = [
            session.get_one(Checkout, page.checkout_id).stripe_expires_at - shop.clock()
            for page in (short, long)
        ]
    assert timedelta(minutes=31) <= ends[0] <= timedelta(minutes=35)
    assert ends[1] > timedelta(minutes=60)


def test_a_shortage_makes_no_session(shop: Shop, stripe: EmulatorServer) -> None:
    mug = add_product(shop.database, stock_units=1)

    with pytest.raises(InsufficientStockError):
        begin(shop, {mug: 2}, ANNA)

    assert stripe.requests("/v1/checkout/sessions") == []


def test_a_second_checkout_replaces_the_visitors_own_hold_of_the_last_unit(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    first = begin(shop, {mug: 1}, ANNA)

    second = begin(shop, {mug: 1}, ANNA)

    assert sessions_at(stripe)[first.stripe_session_id] == "expired"
    assert status_of(shop.database, first.checkout_id) == CANCELLED
    assert sessions_at(stripe)[second.stripe_session_id] == "open"
    assert levels(shop.database, mug) == (1, 1)
    assert_invariants(shop.database)


def test_an_own_hold_that_was_paid_meanwhile_stands_as_an_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=2)
    first = begin(shop, {mug: 1}, ANNA)
    stripe.pay(first.stripe_session_id)

    begin(shop, {mug: 1}, ANNA)

    assert status_of(shop.database, first.checkout_id) == CONFIRMED
    assert len(orders_of(shop.database)) == 1
    assert levels(shop.database, mug) == (1, 1)
    assert_invariants(shop.database)


def test_another_visitor_is_refused_what_is_held(shop: Shop) -> None:
    mug = add_product(shop.database, stock_units=1)
    begin(shop, {mug: 1}, ANNA)

    with pytest.raises(InsufficientStockError):
        begin(shop, {mug: 1}, BEN)

    assert levels(shop.database, mug) == (1, 1)


def test_without_the_sweep_a_shopper_gets_what_is_overdue(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    first = begin(shop, {mug: 1}, ANNA)
    clock.advance(minutes=15, seconds=1)

    begin(shop, {mug: 1}, BEN)

    assert status_of(shop.database, first.checkout_id) == "EXPIRED"
    assert sessions_at(stripe)[first.stripe_session_id] == "expired"
    assert levels(shop.database, mug) == (1, 1)
    assert_invariants(shop.database)


def test_a_shopper_gets_the_units_of_many_overdue_holds(
    shop: Shop, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=12)
    for _ in range(12):
        begin(shop, {mug: 1})
    clock.advance(minutes=15, seconds=1)

    begin(shop, {mug: 12}, BEN)

    assert levels(shop.database, mug) == (12, 12)


def test_a_shopper_is_refused_while_stripe_keeps_what_is_overdue(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    begin(shop, {mug: 1}, ANNA)
    clock.advance(minutes=15, seconds=1)
    stripe.fault("expire", "error_before", times=0)

    with pytest.raises(InsufficientStockError):
        begin(shop, {mug: 1}, BEN)

    assert levels(shop.database, mug) == (1, 1)


def test_what_is_overdue_but_paid_is_not_taken_from_its_payer(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database, stock_units=1)
    first = begin(shop, {mug: 1}, ANNA)
    stripe.pay(first.stripe_session_id)
    clock.advance(minutes=15, seconds=1)

    with pytest.raises(InsufficientStockError):
        begin(shop, {mug: 1}, BEN)

    assert status_of(shop.database, first.checkout_id) == CONFIRMED
    assert levels(shop.database, mug) == (0, 0)


def test_a_refusal_by_stripe_frees_the_units(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", "status", status=400, times=0)

    with pytest.raises(PaymentError) as refusal:
        begin(shop, {mug: 1}, ANNA)

    assert not isinstance(refusal.value, PaymentUnavailableError)
    assert levels(shop.database, mug) == (5, 0)


@pytest.mark.parametrize("kind", ["error_before", "error_after", "drop_after"])
def test_an_unclear_answer_keeps_the_units_until_it_is_known(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, kind: str
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", kind, times=0)

    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 1}, ANNA)

    assert levels(shop.database, mug) == (5, 1)
    stripe.control("faults/clear")
    clock.advance(minutes=15, seconds=1)
    expiry.expire_due(shop)
    clock.advance(minutes=30)
    expiry.expire_due(shop)
    assert levels(shop.database, mug) == (5, 0)
    assert open_sessions(stripe) == []


def test_a_visitor_whose_page_was_lost_can_check_out_again(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    stripe.fault("create", "drop_after", times=3)
    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 1}, ANNA)

    page = begin(shop, {mug: 1}, ANNA)

    assert open_sessions(stripe) == [page.stripe_session_id]
    assert levels(shop.database, mug) == (1, 1)


def test_a_page_that_comes_after_its_hold_has_ended_is_not_handed_out(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    stripe.barrier("create", after=True)
    with ThreadPoolExecutor(1) as background:
        late = background.submit(begin, shop, {mug: 1}, ANNA)
        stripe.wait_for_waiter("create")
        with shop.database.read() as session:
            checkout_id = session.scalars(select(Checkout.id)).one()
        shop.database.write(
            lambda session: reservations.end(
                session, checkout_id, Closed(CANCELLED, "test"), now=shop.clock()
            )
        )
        stripe.release("create")

        with pytest.raises(HoldEndedError):
            late.result(20)

    assert list(sessions_at(stripe).values()) == ["expired"]


def test_cancelling_frees_the_units_at_once_and_once(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2}, ANNA)

    first = payment_page.cancel(shop, page.checkout_id, ANNA.id)
    again = payment_page.cancel(shop, page.checkout_id, ANNA.id)

    assert (first, again) == (Ending.CLOSED, Ending.ENDED_BEFORE)
    assert sessions_at(stripe)[page.stripe_session_id] == "expired"
    assert status_of(shop.database, page.checkout_id) == CANCELLED
    assert levels(shop.database, mug) == (5, 0)


def test_stripes_own_event_may_be_quicker_than_the_cancel_that_caused_it(
    shop: Shop, stripe: EmulatorServer
) -> None:
    """Stripe tells of a page that we close before it has answered who closed it."""
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2}, ANNA)
    stripe.barrier("expire", after=True)

    with ThreadPoolExecutor(1) as threads:
        cancelling = threads.submit(
            payment_page.cancel, shop, page.checkout_id, ANNA.id
        )
        stripe.wait_for_waiter("expire")
        events.settle_returned(shop, page.stripe_session_id)
        assert status_of(shop.database, page.checkout_id) == EXPIRED
        stripe.release("expire")
        ending = cancelling.result(20)

    assert ending is Ending.CLOSED
    assert levels(shop.database, mug) == (5, 0)
    told = ask(shop.database, lambda s: history.steps(s, page.checkout_id))
    assert ("TURNED_BACK", "cancelled by the customer") in {
        (step.what, step.cause) for step in told
    }


def test_somebody_else_cannot_cancel(shop: Shop, stripe: EmulatorServer) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2}, ANNA)

    ending = payment_page.cancel(shop, page.checkout_id, BEN.id)

    assert ending is None
    assert sessions_at(stripe)[page.stripe_session_id] == "open"
    assert levels(shop.database, mug) == (5, 2)


def test_cancelling_while_stripe_is_down_keeps_the_hold(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2}, ANNA)
    stripe.fault("expire", "error_before", times=0)

    ending = payment_page.cancel(shop, page.checkout_id, ANNA.id)

    assert ending is Ending.KEPT
    assert status_of(shop.database, page.checkout_id) == PENDING
    assert levels(shop.database, mug) == (5, 2)


def test_cancelling_what_was_just_paid_confirms_it(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2}, ANNA)
    stripe.pay(page.stripe_session_id)

    ending = payment_page.cancel(shop, page.checkout_id, ANNA.id)

    assert ending is Ending.PAID
    assert levels(shop.database, mug) == (3, 0)
    assert len(orders_of(shop.database)) == 1


def with_limits(shop: Shop, **limits: Any) -> Shop:
    return replace(shop, config=replace(shop.config, limits=Limits(**limits)))


def test_a_limit_on_units_refuses_more_of_a_product(shop: Shop) -> None:
    mug = add_product(shop.database)

    with pytest.raises(InvalidQuantityError) as refusal:
        begin(with_limits(shop, quantity_per_product=2), {mug: 3}, ANNA)

    assert refusal.value.limit == 2
    assert levels(shop.database, mug) == (5, 0)


def test_a_limit_on_holds_refuses_one_more_from_the_same_address(shop: Shop) -> None:
    mug = add_product(shop.database)
    strict = with_limits(shop, holds_per_address=1)
    begin(strict, {mug: 1}, Visitor("anna", "192.0.2.1", "nl"))

    with pytest.raises(TooManyHoldsError):
        begin(strict, {mug: 1}, Visitor("neighbour", "192.0.2.1:8000", "nl"))
    begin(strict, {mug: 1}, Visitor("ben", "192.0.2.2", "nl"))

    assert levels(shop.database, mug) == (5, 2)


def test_two_tabs_of_one_visitor_end_with_one_page_that_can_be_paid(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)

    outcomes = at_once([lambda: begin(shop, {mug: 1}, ANNA)] * 2)

    pages = [outcome for outcome in outcomes if isinstance(outcome, PaymentPage)]
    assert pages
    assert len(open_sessions(stripe)) == 1
    with shop.database.read() as session:
        pending = session.scalars(
            select(func.count()).where(Checkout.status == PENDING)
        ).one()
    assert pending == 1
    assert_invariants(shop.database)


def test_after_one_error_of_stripes_the_same_visitor_can_buy(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    stripe.fault("create", "error_before", times=1)
    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 1}, ANNA)

    page = begin(shop, {mug: 1}, ANNA)

    assert open_sessions(stripe) == [page.stripe_session_id]
    assert levels(shop.database, mug) == (1, 1)


@pytest.mark.parametrize("cart", [{999: 1}, {1: 6}], ids=["unknown", "short"])
def test_a_refused_second_checkout_leaves_the_open_page_alone(
    shop: Shop, stripe: EmulatorServer, cart: dict[int, int]
) -> None:
    mug = add_product(shop.database, stock_units=5)
    first = begin(shop, {mug: 2}, ANNA)

    with pytest.raises((ProductNotFoundError, InsufficientStockError)):
        begin(shop, cart, ANNA)

    assert open_sessions(stripe) == [first.stripe_session_id]
    assert levels(shop.database, mug) == (5, 2)


def test_who_has_paid_already_is_told_so_and_gets_no_second_page(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=5)
    first = begin(shop, {mug: 2}, ANNA)
    stripe.pay(first.stripe_session_id)

    with pytest.raises(EarlierPaidError) as told:
        payment_page.begin(shop, {mug: 2}, visitor=ANNA, unless_paid=True)

    assert told.value.checkout_id == first.checkout_id
    assert open_sessions(stripe) == []
    assert levels(shop.database, mug) == (3, 0)
