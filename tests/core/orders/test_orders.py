from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import select

from core.checkout import late_money
from core.checkout.late_money import Confirmation
from core.database.engine import Database
from core.models.checkout import CONFIRMED, EXPIRED
from core.models.orders import Order
from core.models.records import TOO_LATE
from core.models.stock import StockMovement
from core.payments.data import Payment, RefundReport
from core.refunds import refunds, stripe_reports
from core.refunds import views as refund_views
from core.refunds.views import RefundView
from core.stock import reservations
from core.stock.reservations import Closed
from tests.factories import (
    add_product,
    assert_invariants,
    levels,
    orders_of,
    payment_of,
    reserved,
    status_of,
)

PAYMENT = payment_of(name="Marijke")


def confirm(
    database: Database, checkout_id: int, now: datetime, payment: Payment = PAYMENT
) -> Confirmation:
    return database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, payment, now=now)
    )


def ended(database: Database, cart: dict[int, int], now: datetime) -> int:
    """Reserve *cart* and let its hold end; return the checkout's id."""
    checkout_id = reserved(database, cart, now)
    database.write(
        lambda s: reservations.end(s, checkout_id, Closed(EXPIRED, "over"), now=now)
    )
    return checkout_id


def request_refund(
    database: Database, checkout_id: int, now: datetime, payment: Payment = PAYMENT
) -> None:
    database.write(
        lambda s: refunds.request_automatic(
            s, checkout_id, payment, kind=TOO_LATE, now=now
        )
    )


def report_refund(database: Database, status: str, now: datetime) -> None:
    """Note what Stripe says of the refund of PAYMENT."""
    key = f"refund-{PAYMENT.stripe_session_id}"
    report = RefundReport("re_1", "pi_1", 1250, "eur", status, key, "")
    database.write(lambda s: stripe_reports.take_report(s, report, now=now))


def refunds_of(database: Database) -> list[RefundView]:
    with database.read() as session:
        return refund_views.refunds(session)


def test_every_sold_line_is_in_the_ledger_with_its_order(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database), add_product(database)
    checkout_id = reserved(database, {mug: 2, cup: 1}, now)

    confirm(database, checkout_id, now)

    with database.read() as session:
        order_id = session.scalars(select(Order.id)).one()
        sold = session.execute(
            select(
                StockMovement.product_id, StockMovement.quantity, StockMovement.order_id
            )
            .where(StockMovement.reason == "sold")
            .order_by(StockMovement.product_id)
        ).all()
    assert [tuple(row) for row in sold] == [(mug, -2, order_id), (cup, -1, order_id)]
    assert_invariants(database)


def test_an_order_knows_who_paid(database: Database, now: datetime) -> None:
    checkout_id = reserved(database, {add_product(database): 1}, now)

    confirm(database, checkout_id, now)

    (order,) = orders_of(database)
    assert (order.customer_name, order.customer_email) == ("Marijke", "m@shop.example")
    assert (order.status, order.created_at) == ("PAID", now)
    assert not order.was_late


@pytest.mark.parametrize(
    "wrong",
    [{"subtotal_cents": 1, "total_cents": 1}, {"currency": "usd"}],
    ids=["amount", "currency"],
)
def test_another_amount_or_currency_is_sold_and_marked_for_review(
    database: Database, now: datetime, wrong: dict[str, object]
) -> None:
    checkout_id = reserved(database, {add_product(database): 1}, now)

    confirmation = confirm(
        database,
        checkout_id,
        now,
        replace(PAYMENT, bill=replace(PAYMENT.bill, **wrong)),  # type: ignore[arg-type]  # by name
    )

    (order,) = orders_of(database)
    assert confirmation is Confirmation.CONFIRMED
    assert order.status == "REVIEW"
    assert (order.promised_cents, order.promised_currency) == (1250, "eur")
    assert_invariants(database)


def test_a_second_confirmation_sells_nothing(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=5)
    checkout_id = reserved(database, {mug: 1}, now)

    first, second = (confirm(database, checkout_id, now) for _ in range(2))

    assert first is Confirmation.CONFIRMED
    assert second is Confirmation.ALREADY_CONFIRMED
    assert levels(database, mug) == (4, 0)
    assert len(orders_of(database)) == 1


def test_late_money_takes_units_that_are_free(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=1)
    checkout_id = ended(database, {mug: 1}, now)

    confirmation = confirm(database, checkout_id, now)

    (order,) = orders_of(database)
    assert confirmation is Confirmation.CONFIRMED_LATE
    assert order.was_late
    assert status_of(database, checkout_id) == CONFIRMED
    assert levels(database, mug) == (0, 0)
    assert_invariants(database)


def test_late_money_takes_every_line_or_none(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=5)
    cup = add_product(database, stock_units=1)
    checkout_id = ended(database, {mug: 1, cup: 1}, now)
    reserved(database, {cup: 1}, now)

    confirmation = confirm(database, checkout_id, now)

    assert confirmation is Confirmation.TOO_LATE
    assert status_of(database, checkout_id) == EXPIRED
    assert levels(database, mug) == (5, 0)
    assert levels(database, cup) == (1, 1)
    assert orders_of(database) == []
    assert_invariants(database)


def test_money_on_its_way_back_buys_nothing(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=1)
    checkout_id = ended(database, {mug: 1}, now)
    request_refund(database, checkout_id, now)

    confirmation = confirm(database, checkout_id, now)

    assert confirmation is Confirmation.REFUND_REQUESTED
    assert levels(database, mug) == (1, 0)
    assert orders_of(database) == []


def test_a_refund_is_noted_once(database: Database, now: datetime) -> None:
    checkout_id = ended(database, {add_product(database): 1}, now)

    for _ in range(2):
        request_refund(database, checkout_id, now)

    (refund,) = refunds_of(database)
    assert (refund.payment_intent, refund.amount_cents) == ("pi_1", 1250)
    assert refund.status == "REQUESTED"


def test_nothing_was_paid_and_nothing_goes_back(
    database: Database, now: datetime
) -> None:
    checkout_id = ended(database, {add_product(database): 1}, now)

    nothing = payment_of(cents=0, intent=None)
    request_refund(database, checkout_id, now, nothing)

    assert refunds_of(database) == []


@pytest.mark.parametrize(
    ("said", "said_late", "status"),
    [
        ("pending", "pending", "SENT"),
        ("succeeded", "pending", "DONE"),
        ("failed", "succeeded", "FAILED"),
        ("canceled", "pending", "FAILED"),
        ("succeeded", "failed", "FAILED"),
    ],
)
def test_what_stripe_said_of_a_refund_stands_unless_the_bank_sends_it_back(
    database: Database, now: datetime, said: str, said_late: str, status: str
) -> None:
    checkout_id = ended(database, {add_product(database): 1}, now)
    request_refund(database, checkout_id, now)

    for each in (said, said_late):
        report_refund(database, each, now)

    (refund,) = refunds_of(database)
    assert (refund.status, refund.stripe_refund_id) == (status, "re_1")


def test_no_two_orders_have_one_address(database: Database, now: datetime) -> None:
    mug = add_product(database)

    for number in range(3):
        checkout_id = reserved(database, {mug: 1}, now)
        payment = replace(PAYMENT, stripe_session_id=f"cs_{number}")
        confirm(database, checkout_id, now, payment)

    assert len({order.token for order in orders_of(database)}) == 3
