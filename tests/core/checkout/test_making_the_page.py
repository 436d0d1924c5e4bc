"""
Making a payment page: each answer that Stripe may give, or not, and what it proves.

The rest of what docs/payments.md tells of is in the files beside this.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
import stripe as package
from sqlalchemy import select

from core.checkout import events, expiry, payment_page
from core.checkout.closing import Ending
from core.checkout.expiry import Sweep
from core.checkout.payment_page import Visitor
from core.config import Config
from core.errors import (
    HoldEndedError,
    PaymentBusyError,
    PaymentError,
    PaymentUnavailableError,
)
from core.models.checkout import CANCELLED, CONFIRMED, PENDING, Checkout
from core.payments import client, gateway, retry
from core.payments.gateway import StripeGateway
from core.payments.offer import DELAYED_METHODS
from core.payments.retry import Retries
from core.shop import Shop
from tests.core.test_offers import started_again
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    begin,
    event_about,
    form_of,
    levels,
    open_sessions,
    orders_of,
    refunds_of,
    sessions_at,
    status_of,
)

ANNA = Visitor("anna", "127.0.0.1", "nl")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package try again at once: how often it does stays the same."""
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(gateway, "CREATE", Retries(2, (0.001, 0.001)))


@pytest.fixture
def hasty_shop(
    shop: Shop, stripe: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    """Give a shop that waits half a second for Stripe's answer."""
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    gateway = StripeGateway("sk_test_shop", stripe.webhook_secret, stripe.url)
    return replace(shop, gateway=gateway)


def creates(stripe: EmulatorServer) -> list[dict[str, Any]]:
    calls = stripe.requests("/v1/checkout/sessions")
    return [call for call in calls if call["method"] == "POST"]


def assert_all_the_same(calls: list[dict[str, Any]]) -> None:
    """Fail unless all of them sent the same bytes under the same key."""
    assert len({call["body"] for call in calls}) == 1
    assert len({call["headers"]["Idempotency-Key"] for call in calls}) == 1


def methods_at(stripe: EmulatorServer, session_id: str) -> set[str]:
    """Return the ways to pay that Stripe offers on a page."""
    client = package.StripeClient("sk_test_shop", base_addresses={"api": stripe.url})
    return {*client.v1.checkout.sessions.retrieve(session_id).payment_method_types}


def only_checkout(shop: Shop) -> int:
    return ask(shop.database, lambda s: s.scalars(select(Checkout.id)).one())


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
def test_a_refused_create_is_no_page_and_frees_the_units_at_once(
    shop: Shop, stripe: EmulatorServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    mug = add_product(shop.database, stock_units=1)
    stripe.fault("create", "status", status=status)

    with pytest.raises(PaymentError) as refusal:
        begin(shop, {mug: 1}, ANNA)

    assert not isinstance(refusal.value, PaymentUnavailableError)
    assert len(creates(stripe)) == 1
    assert levels(shop.database, mug) == (1, 0)
    assert status_of(shop.database, only_checkout(shop)) == CANCELLED
    assert "Stripe refused checkout" in caplog.text
    page = begin(shop, {mug: 1}, ANNA)
    assert sessions_at(stripe) == {page.stripe_session_id: "open"}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 409},
        {"kind": "status", "status": 502},
        {"kind": "error_before"},
        {"kind": "reset_before"},
        {"kind": "hang", "seconds": 2},
        {"kind": "error_after"},
        {"kind": "drop_after"},
        {"kind": "reset_after"},
        {"kind": "timeout_after", "seconds": 2},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_an_answer_that_proves_nothing_keeps_the_units_until_stripe_can_tell(
    hasty_shop: Shop,
    stripe: EmulatorServer,
    clock: FakeClock,
    fault: dict[str, Any],
) -> None:
    shop = hasty_shop
    mug = add_product(shop.database)
    stripe.fault("create", times=0, **fault)

    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 2}, ANNA)

    assert levels(shop.database, mug) == (5, 2)
    stripe.control("faults/clear")
    assert len(open_sessions(stripe)) == fault["kind"].endswith("_after")
    clock.advance(minutes=16)
    stripe.advance(16 * 60)
    assert expiry.expire_due(shop) == Sweep(expired=1, confirmed=0, kept=0)
    assert_all_the_same(creates(stripe))
    assert open_sessions(stripe) == []
    assert levels(shop.database, mug) == (5, 0)
    assert_invariants(shop.database)


def test_a_busy_stripe_is_asked_again_with_the_same_bytes(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", "status", status=429, times=2)

    page = begin(shop, {mug: 1}, ANNA)

    assert len(creates(stripe)) == 3
    assert_all_the_same(creates(stripe))
    assert sessions_at(stripe) == {page.stripe_session_id: "open"}


def test_a_stripe_that_stays_busy_keeps_the_units_for_their_visitor(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    stripe.fault("create", "status", status=429, times=0)

    with pytest.raises(PaymentBusyError):
        begin(shop, {mug: 1}, ANNA)

    assert levels(shop.database, mug) == (1, 1)
    assert status_of(shop.database, only_checkout(shop)) == PENDING
    stripe.control("faults/clear")
    page = begin(shop, {mug: 1}, ANNA)
    assert open_sessions(stripe) == [page.stripe_session_id]
    assert levels(shop.database, mug) == (1, 1)


def test_a_page_that_was_made_without_an_answer_is_the_one_that_is_handed_out(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", "drop_after", times=1)

    page = begin(shop, {mug: 1}, ANNA)

    assert len(creates(stripe)) == 2
    assert_all_the_same(creates(stripe))
    assert sessions_at(stripe) == {page.stripe_session_id: "open"}


@pytest.mark.parametrize("is_paid", [False, True], ids=["open", "paid"])
def test_a_refused_second_try_does_not_hide_the_page_of_the_first(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, *, is_paid: bool
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", "drop_after", times=3)
    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 1}, ANNA)
    (made,) = open_sessions(stripe)
    if is_paid:
        stripe.pay(made)
    stripe.fault("create", "status", status=401, times=0)
    clock.advance(minutes=16)

    sweep = expiry.expire_due(shop)

    assert sweep == Sweep(expired=not is_paid, confirmed=is_paid, kept=0)
    assert open_sessions(stripe) == []
    assert levels(shop.database, mug) == (4 if is_paid else 5, 0)
    assert_invariants(shop.database)


@pytest.mark.parametrize("named", [(), ("sepa_debit",)], ids=["none", "one"])
def test_a_page_offers_no_delayed_method_but_those_that_are_named(
    shop: Shop,
    stripe: EmulatorServer,
    config: Config,
    clock: FakeClock,
    named: tuple[str, ...],
) -> None:
    settings = {"DELAYED_PAYMENT_METHODS": ",".join(named)} if named else {}
    other = started_again(shop, config, settings, clock)

    page = begin(other, {add_product(shop.database): 1})

    form = form_of(creates(stripe)[0])
    excluded = {form[name] for name in form if name.startswith("excluded_payment_")}
    assert excluded == {*DELAYED_METHODS} - {*named}
    assert methods_at(stripe, page.stripe_session_id) == {"card", "ideal", *named}


def test_cancelling_before_stripe_has_made_the_page_waits_for_it(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    stripe.barrier("create")

    with ThreadPoolExecutor(1) as background:
        begun = background.submit(begin, shop, {mug: 1}, ANNA)
        stripe.wait_for_waiter("create")
        early = payment_page.cancel(shop, only_checkout(shop), ANNA.id)
        stripe.release("create")
        page = begun.result(20)

    assert early is Ending.KEPT
    assert levels(shop.database, mug) == (5, 1)
    assert payment_page.cancel(shop, page.checkout_id, ANNA.id) is Ending.CLOSED
    assert open_sessions(stripe) == []
    assert levels(shop.database, mug) == (5, 0)


def test_cancelling_after_stripe_has_made_the_page_closes_it_unseen(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    stripe.barrier("create", after=True)

    with ThreadPoolExecutor(1) as background:
        begun = background.submit(begin, shop, {mug: 1}, ANNA)
        stripe.wait_for_waiter("create")
        ending = payment_page.cancel(shop, only_checkout(shop), ANNA.id)
        stripe.release("create")
        with pytest.raises(HoldEndedError):
            begun.result(20)

    assert ending is Ending.CLOSED
    assert list(sessions_at(stripe).values()) == ["expired"]
    assert levels(shop.database, mug) == (5, 0)
    assert_invariants(shop.database)


def test_a_page_that_was_replaced_takes_no_money(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    first, second = begin(shop, {mug: 1}, ANNA), begin(shop, {mug: 1}, ANNA)

    with pytest.raises(requests.HTTPError, match="409"):
        stripe.pay(first.stripe_session_id)
    stripe.pay(second.stripe_session_id)
    events.record_event(shop, event_about(second))

    (order,) = orders_of(shop.database)
    assert order.stripe_session_id == second.stripe_session_id
    assert status_of(shop.database, first.checkout_id) == CANCELLED
    assert levels(shop.database, mug) == (0, 0)


def test_an_abandoned_page_that_is_paid_while_a_second_tab_replaces_it_is_an_order(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=2)
    first = begin(shop, {mug: 1}, ANNA)
    stripe.barrier("expire")

    with ThreadPoolExecutor(1) as background:
        second_tab = background.submit(begin, shop, {mug: 1}, ANNA)
        stripe.wait_for_waiter("expire")
        stripe.pay(first.stripe_session_id)
        stripe.release("expire")
        second = second_tab.result(20)
    events.record_event(shop, event_about(first))

    (order,) = orders_of(shop.database)
    assert order.stripe_session_id == first.stripe_session_id
    assert status_of(shop.database, first.checkout_id) == CONFIRMED
    assert open_sessions(stripe) == [second.stripe_session_id]
    assert refunds_of(shop) == []
    assert levels(shop.database, mug) == (1, 1)
    assert_invariants(shop.database)
