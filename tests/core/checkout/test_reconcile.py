"""Reconcile: what a lost message or a crash left open is found and settled."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import stripe as package
from sqlalchemy import Executable, select, update

from core.checkout import events, expiry, reconcile
from core.checkout.comparison import Reconciliation
from core.checkout.payment_page import PaymentPage
from core.errors import PaymentUnavailableError
from core.models.checkout import CONFIRMED, EXPIRED, PENDING, Checkout, Reconciled
from core.models.records import UNKNOWN_SESSION
from core.owner import to_dos
from core.payments import pace
from core.payments.data import Event
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
    levels,
    open_sessions,
    orders_of,
    refunds_of,
    status_of,
)


def write(shop: Shop, statement: Executable) -> None:
    shop.database.write(lambda session: session.execute(statement))


def forget_the_session(shop: Shop, page: PaymentPage) -> None:
    """As if the program had died before it noted the answer."""
    write(
        shop,
        update(Checkout)
        .where(Checkout.id == page.checkout_id)
        .values(stripe_session_id=None, session_at=None),
    )


def ended(shop: Shop, page: PaymentPage) -> None:
    """End the hold here alone, as a bug or a backup that was put back would."""
    shop.database.write_single(
        lambda session: reservations.end(
            session, page.checkout_id, Closed(EXPIRED, "a test"), now=shop.clock()
        )
    )


def reconciled_until(shop: Shop) -> datetime:
    return ask(shop.database, lambda s: s.scalars(select(Reconciled.until)).one())


def test_a_payment_nobody_reported_becomes_its_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 2})
    stripe.pay(page.stripe_session_id)

    found = reconcile.reconcile(shop)

    assert (found.seen, found.settled, found.kept) == (1, 1, 0)
    assert [order.stripe_session_id for order in orders_of(shop.database)] == [
        page.stripe_session_id
    ]
    assert levels(shop.database, mug) == (3, 0)
    assert_invariants(shop.database)


def test_a_second_pass_finds_nothing_to_do(shop: Shop, stripe: EmulatorServer) -> None:
    mug = add_product(shop.database)
    stripe.pay(begin(shop, {mug: 1}).stripe_session_id)
    begin(shop, {mug: 1})
    reconcile.reconcile(shop)

    again = reconcile.reconcile(shop)

    assert (again.seen, again.settled, again.closed, again.kept) == (2, 0, 0, 0)


def test_a_page_that_is_still_held_stays_open(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})

    reconcile.reconcile(shop)

    assert open_sessions(stripe) == [page.stripe_session_id]
    assert status_of(shop.database, page.checkout_id) == PENDING


def test_a_page_whose_units_are_not_held_any_more_is_closed(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    ended(shop, begin(shop, {mug: 1}))

    found = reconcile.reconcile(shop)

    assert found.closed == 1
    assert open_sessions(stripe) == []


def test_a_page_of_an_ended_hold_that_is_paid_in_this_moment_is_not_lost(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    ended(shop, page)
    rival = begin(shop, {mug: 1})
    stripe.barrier("expire")

    with ThreadPoolExecutor() as aside:
        comparing = aside.submit(reconcile.reconcile, shop)
        stripe.wait_for_waiter("expire")
        stripe.pay(page.stripe_session_id)
        stripe.release("expire")
        found = comparing.result(20)

    assert (found.settled, found.closed) == (1, 0)
    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert [each.stripe_session_id for each in refunds_of(shop)] == [
        page.stripe_session_id
    ]
    assert status_of(shop.database, rival.checkout_id) == PENDING
    assert_invariants(shop.database)


def test_a_payment_for_a_session_that_was_never_noted_becomes_its_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    forget_the_session(shop, page)
    stripe.pay(page.stripe_session_id)

    reconcile.reconcile(shop)

    assert status_of(shop.database, page.checkout_id) == CONFIRMED


def test_a_copy_that_stripe_made_of_a_page_is_closed(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    clock.advance(minutes=16)
    expiry.sweep(shop)
    stripe.control(f"sessions/{page.stripe_session_id}/recover")
    assert len(open_sessions(stripe)) == 1

    found = reconcile.reconcile(shop)

    assert found.closed == 1
    assert open_sessions(stripe) == []
    assert status_of(shop.database, page.checkout_id) == EXPIRED
    assert_invariants(shop.database)


@pytest.mark.parametrize("stock_units", [1, 2], ids=["gone", "free"])
def test_a_copy_that_was_paid_is_sold_if_it_can_be_else_sent_back(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, stock_units: int
) -> None:
    mug = add_product(shop.database, stock_units=stock_units)
    page = begin(shop, {mug: 1})
    clock.advance(minutes=16)
    expiry.sweep(shop)
    copy = stripe.control(f"sessions/{page.stripe_session_id}/recover")
    begin(shop, {mug: 1})
    stripe.pay(copy["id"])

    reconcile.reconcile(shop)

    sold = [order.stripe_session_id for order in orders_of(shop.database)]
    sent_back = [each.stripe_session_id for each in refunds_of(shop)]
    expected = ([copy["id"]], []) if stock_units == 2 else ([], [copy["id"]])
    assert (sold, sent_back) == expected
    assert_invariants(shop.database)


def copy_without_our_mark(stripe: EmulatorServer, page: PaymentPage) -> str:
    """Have Stripe copy an expired page, but for what we had noted on it."""
    copy_id: str = stripe.recover(page.stripe_session_id)["id"]
    client = package.StripeClient("sk_test_shop", base_addresses={"api": stripe.url})
    client.v1.checkout.sessions.update(
        copy_id, {"metadata": {"checkout_key": "", "checkout_id": ""}}
    )
    return copy_id


@pytest.mark.parametrize("is_told", [True, False])
def test_a_copy_is_known_by_the_page_that_it_is_a_copy_of(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, *, is_told: bool
) -> None:
    page = begin(shop, {add_product(shop.database): 1})
    clock.advance(minutes=16)
    expiry.sweep(shop)
    copy_id = copy_without_our_mark(stripe, page)
    stripe.pay(copy_id, wait=False)

    if is_told:
        told = Event(
            "evt_1",
            "checkout.session.completed",
            copy_id,
            object_type="checkout.session",
            recovered_from=page.stripe_session_id,
        )
        events.record_event(shop, told)
    else:
        reconcile.reconcile(shop)

    (order,) = orders_of(shop.database)
    assert (order.stripe_session_id, order.checkout_id) == (copy_id, page.checkout_id)
    assert_invariants(shop.database)


def test_money_for_a_checkout_that_is_not_here_is_entered_for_the_owner_once(
    shop: Shop, stripe: EmulatorServer, database_url: str
) -> None:
    mug = add_product(shop.database)
    page = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    write(
        shop,
        update(Checkout)
        .where(Checkout.id == page.checkout_id)
        .values(stripe_session_id=None, idempotency_key="of another shop"),
    )

    first, second = reconcile.reconcile(shop), reconcile.reconcile(shop)

    assert (first.entered, second.entered) == (1, 0)
    (entry,) = ask(shop.database, to_dos.entries)
    assert (entry.kind, entry.stripe_id) == (UNKNOWN_SESSION, page.stripe_session_id)
    assert entry.amount_cents == 1250


def test_all_pages_of_a_long_list_are_read(shop: Shop, stripe: EmulatorServer) -> None:
    mug = add_product(shop.database, stock_units=130)
    pages = [begin(shop, {mug: 1}) for _ in range(120)]
    for page in (pages[0], pages[-1]):
        stripe.pay(page.stripe_session_id)

    found = reconcile.reconcile(shop)

    assert (found.seen, found.settled) == (120, 2)
    assert len(orders_of(shop.database)) == 2


def test_a_busy_stripe_is_asked_again_from_the_same_page_on(
    shop: Shop, stripe: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BUSY_PAUSES", (0.01, 0.01))
    mug = add_product(shop.database)
    stripe.pay(begin(shop, {mug: 1}).stripe_session_id)
    stripe.fault("list", "status", status=429, times=2)

    found = reconcile.reconcile(shop)

    assert (found.seen, found.settled) == (1, 1)


def test_a_session_that_cannot_be_settled_holds_up_no_other_and_is_tried_again(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    pages = [begin(shop, {mug: 1}) for _ in range(2)]
    for page in pages:
        stripe.pay(page.stripe_session_id)
    reconcile.reconcile_if_due(shop)
    before = reconciled_until(shop)
    third = begin(shop, {mug: 1})
    stripe.pay(third.stripe_session_id)
    stripe.fault("retrieve", "status", status=500, times=0, id=third.stripe_session_id)

    stuck = reconcile.reconcile(shop)
    left_at = reconciled_until(shop)
    stripe.control("faults/clear")
    after = reconcile.reconcile(shop)

    assert (stuck.settled, stuck.kept) == (0, 1)
    assert left_at == before
    assert (after.settled, after.kept) == (1, 0)


def test_an_unreachable_stripe_leaves_the_mark_where_it_was(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    reconcile.reconcile(shop)
    before = reconciled_until(shop)
    clock.advance(minutes=5)
    stripe.fault("list", "status", status=500, times=0)

    with pytest.raises(PaymentUnavailableError):
        reconcile.reconcile(shop)

    assert reconciled_until(shop) == before


def test_a_pass_looks_back_over_all_that_may_have_been_open(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    mug = add_product(shop.database)
    reconcile.reconcile(shop)
    page = begin(shop, {mug: 1})
    clock.advance(minutes=10)
    reconcile.reconcile(shop)
    stripe.pay(page.stripe_session_id)
    clock.advance(minutes=4)

    found = reconcile.reconcile(shop)

    assert found.settled == 1
    assert found.since < shop.clock() - timedelta(minutes=34)


def test_of_passes_at_once_one_is_made(shop: Shop, stripe: EmulatorServer) -> None:
    answers = at_once([lambda: reconcile.reconcile_if_due(shop)] * 4)

    assert sum(isinstance(each, Reconciliation) for each in answers) == 1
    assert answers.count(None) == 3


def test_the_next_pass_comes_after_the_interval(shop: Shop, clock: FakeClock) -> None:
    assert reconcile.reconcile_if_due(shop) is not None
    clock.advance(seconds=29)
    assert reconcile.reconcile_if_due(shop) is None
    clock.advance(seconds=1)
    assert reconcile.reconcile_if_due(shop) is not None


def test_the_next_pass_comes_sooner_after_one_that_kept_something(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock
) -> None:
    stripe.fault("list", "status", status=500, times=0)
    with pytest.raises(PaymentUnavailableError):
        reconcile.reconcile_if_due(shop)
    stripe.control("faults/clear")
    clock.advance(seconds=9)
    assert reconcile.reconcile_if_due(shop) is None
    clock.advance(seconds=1)
    assert reconcile.reconcile_if_due(shop) is not None


def test_a_pass_whose_process_was_killed_is_made_by_another_later(
    shop: Shop, clock: FakeClock
) -> None:
    assert shop.database.write(
        lambda session: reconcile._take_lease(session, shop.clock())
    )

    assert reconcile.reconcile_if_due(shop) is None
    clock.advance(minutes=5)
    assert reconcile.reconcile_if_due(shop) is not None
