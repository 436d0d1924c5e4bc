"""Other programs make sessions and refunds in the same Stripe account."""

from datetime import datetime

import pytest
import requests
import stripe as package
from sqlalchemy import select

from core.checkout import events
from core.checkout.payment_page import PaymentPage
from core.database.engine import Database
from core.errors import PaymentError, PaymentUnavailableError
from core.models.checkout import PENDING, Checkout
from core.payments import retry
from core.payments.data import Event
from core.refunds import stripe_reports
from core.shop import Shop
from tests.core.money_back import (
    again,
    fail,
    key_of,
    order_in,
    refunds_in,
    report_of,
    request,
)
from tests.emulator import EmulatorServer
from tests.factories import (
    COMPLETED,
    add_product,
    ask,
    assert_invariants,
    begin,
    levels,
    open_sessions,
    orders_of,
    refunds_of,
    sold,
    status_of,
    to_dos_of,
)

EXPIRED_EVENT = "checkout.session.expired"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)


def page_of_another(shop: Shop, stripe: EmulatorServer, number: int) -> str:
    """Make the page of a course, which its program gave a number of its own."""
    answer = requests.post(
        f"{stripe.url}/v1/checkout/sessions",
        {
            "mode": "payment",
            "client_reference_id": str(number),
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": "eur",
            "line_items[0][price_data][unit_amount]": "999",
            "line_items[0][price_data][product_data][name]": "Course",
            "success_url": "https://other.example/ok",
        },
        headers={
            "Authorization": f"Bearer {shop.config.stripe_secret_key}",
            "Stripe-Version": package.api_version,
        },
        timeout=20,
    )
    assert answer.ok, answer.text
    return str(answer.json()["id"])


def refused(shop: Shop, stripe: EmulatorServer, mug: int) -> int:
    """Leave a checkout that never had a page; return its number."""
    stripe.fault("create", "status", status=402)
    with pytest.raises(PaymentError):
        begin(shop, {mug: 1})
    return number_of_last(shop)


def number_of_last(shop: Shop) -> int:
    query = select(Checkout.id).order_by(Checkout.id.desc()).limit(1)
    return ask(shop.database, lambda s: s.scalars(query).one())


def hear_of(shop: Shop, session_id: str, number: int, kind: str = COMPLETED) -> None:
    event = Event("evt_other", kind, session_id, reference=str(number))
    events.record_event(shop, event)


def test_a_payment_of_another_program_buys_nothing_here(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    number = refused(shop, stripe, mug)
    theirs = page_of_another(shop, stripe, number)
    stripe.pay(theirs)

    hear_of(shop, theirs, number)
    returned = events.settle_returned(shop, theirs)

    assert returned is None
    assert orders_of(shop.database) == []
    assert levels(shop.database, mug) == (1, 0)
    assert to_dos_of(shop.database) == []


def test_a_payment_of_another_program_is_not_sent_back(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    number = refused(shop, stripe, mug)
    begin(shop, {mug: 1})
    theirs = page_of_another(shop, stripe, number)
    stripe.pay(theirs)

    hear_of(shop, theirs, number)

    assert refunds_of(shop) == []
    assert stripe.requests("/v1/refunds") == []
    assert to_dos_of(shop.database) == []


def test_a_page_of_another_program_that_ends_frees_no_units_of_ours(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=1)
    stripe.fault("create", "drop_after", times=0)
    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 1})
    stripe.control("faults/clear")
    (ours,) = open_sessions(stripe)
    number = number_of_last(shop)
    theirs = page_of_another(shop, stripe, number)
    shop.gateway.expire(theirs)

    hear_of(shop, theirs, number, EXPIRED_EVENT)

    assert open_sessions(stripe) == [ours]
    assert status_of(shop.database, number) == PENDING
    assert levels(shop.database, mug) == (1, 1)
    assert_invariants(shop.database)


def test_our_session_is_known_by_what_stripe_says_of_it_though_its_event_says_less(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database)
    page: PaymentPage = begin(shop, {mug: 1})
    stripe.pay(page.stripe_session_id)
    shop.database.write(
        lambda s: setattr(
            s.get_one(Checkout, page.checkout_id), "stripe_session_id", None
        )
    )

    hear_of(shop, page.stripe_session_id, page.checkout_id)

    (order,) = orders_of(shop.database)
    assert order.stripe_session_id == page.stripe_session_id


def test_a_refund_of_another_payment_is_not_taken_for_ours(
    database: Database, now: datetime
) -> None:
    sold(database, {add_product(database): 1}, now)
    failed = request(database, order_in(database), 500, now)
    fail(database, failed, now)
    second = again(database, failed, now)

    key = key_of(database, second)
    theirs = report_of("re_2", cents=77, key=key, intent="pi_2")
    database.write(lambda s: stripe_reports.take_report(s, theirs, now=now))

    (_, row) = refunds_in(database)
    assert (row.id, row.status, row.stripe_refund_id) == (second, "REQUESTED", None)
