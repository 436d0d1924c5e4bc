"""What Stripe says of refunds is noted once, whoever made them and whoever tells."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from core.database.engine import Database
from core.orders.views import OrderView
from core.refunds import stripe_reports
from tests.core.money_back import (
    fail,
    key_of,
    kinds_of,
    order_in,
    refunds_in,
    report_of,
    request,
    sent_back_late,
    take,
)
from tests.factories import assert_invariants, at_once, to_dos_of


@pytest.mark.parametrize(
    ("cents", "status"), [(1250, "REFUNDED"), (500, "PAID")], ids=["all", "a part"]
)
def test_a_refund_made_at_stripe_is_noted_once_and_asks_after_the_units(
    database: Database, order: OrderView, now: datetime, cents: int, status: str
) -> None:
    told = take(database, now, *[report_of(cents=cents)] * 3)

    assert told == [True, False, False]
    (refund,) = refunds_in(database)
    assert (refund.status, refund.cause, refund.amount_cents) == (
        "DONE",
        "STRIPE",
        cents,
    )
    after = order_in(database)
    assert (after.status, after.refunded_cents) == (status, cents)
    (entry,) = to_dos_of(database)
    assert (entry.kind, entry.stripe_id, entry.order_id) == (
        "RESTOCK",
        "re_1",
        order.number,
    )
    assert_invariants(database)


def test_two_refunds_made_at_stripe_are_two(
    database: Database, order: OrderView, now: datetime
) -> None:
    take(database, now, report_of("re_1", cents=500), report_of("re_2", cents=500))

    assert len(refunds_in(database)) == 2
    assert order_in(database).refunded_cents == 1000
    assert kinds_of(to_dos_of(database)) == ["RESTOCK"] * 2


def test_a_refund_of_a_payment_that_is_not_ours_is_passed_over(
    database: Database, order: OrderView, now: datetime
) -> None:
    told = take(database, now, report_of(intent="pi_other"), report_of(intent=""))

    assert told == [False, False]
    assert refunds_in(database) == []
    assert to_dos_of(database) == []


@pytest.mark.parametrize("status", ["pending", "succeeded"])
def test_stripe_tells_of_our_own_refund_before_it_answers_us(
    database: Database, order: OrderView, now: datetime, status: str
) -> None:
    refund_id = request(database, order, 500, now)
    report = report_of(cents=500, key=key_of(database, refund_id), status=status)

    take(database, now, report)
    database.write(lambda s: stripe_reports.take_answer(s, refund_id, report, now=now))

    (refund,) = refunds_in(database)
    assert (refund.id, refund.stripe_refund_id) == (refund_id, "re_1")
    assert refund.status == {"pending": "SENT", "succeeded": "DONE"}[status]
    assert order_in(database).refunded_cents == 500
    assert to_dos_of(database) == []


def test_one_report_from_many_sides_at_once_is_one_refund(
    database: Database, order: OrderView, now: datetime
) -> None:
    report = report_of(cents=500)

    at_once([lambda: take(database, now, report)] * 8)
    take(database, now, report)

    (refund,) = refunds_in(database)
    assert (refund.status, refund.cause) == ("DONE", "STRIPE")
    assert order_in(database).refunded_cents == 500
    assert kinds_of(to_dos_of(database)) == ["RESTOCK"]
    assert_invariants(database)


def test_an_answer_and_reports_of_it_at_once_are_one_refund(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    report = report_of(cents=500, key=key_of(database, refund_id))
    calls: list[Callable[[], object]] = [lambda: take(database, now, report)] * 4
    calls += [
        lambda: database.write(
            lambda s: stripe_reports.take_answer(s, refund_id, report, now=now)
        )
    ] * 4

    at_once(calls)
    take(database, now, report)

    (refund,) = refunds_in(database)
    assert (refund.id, refund.status) == (refund_id, "DONE")
    assert order_in(database).refunded_cents == 500
    assert to_dos_of(database) == []


def test_a_refund_can_come_back_from_the_bank_days_after_it_was_done(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    key = key_of(database, refund_id)
    later = now + timedelta(days=9)

    take(database, now, report_of(cents=500, key=key))
    take(database, later, report_of(cents=500, key=key, status="failed"))

    (refund,) = refunds_in(database)
    assert refund.status == "FAILED"
    assert order_in(database).refunded_cents == 0
    (entry,) = to_dos_of(database)
    assert (entry.kind, entry.created_at) == ("REFUND_FAILED", later)


def test_one_refund_at_stripe_failed_and_the_next_took_all_of_it(
    database: Database, order: OrderView, now: datetime
) -> None:
    newest_first = [report_of("re_2"), report_of("re_1", status="failed")]

    take(database, now, *newest_first)

    after = order_in(database)
    assert (after.status, after.refunded_cents) == ("REFUNDED", 1250)
    assert [each.status for each in refunds_in(database)].count("DONE") == 1
    assert_invariants(database)


def test_a_refund_that_failed_here_and_at_stripe_takes_nothing_of_the_order(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 1250, now)
    fail(database, refund_id, now)
    key = key_of(database, refund_id)

    # All of it went back by hand meanwhile.
    told = take(
        database, now, report_of("re_2"), report_of("re_1", key=key, status="failed")
    )

    assert told == [True, False]
    assert [(each.status, each.stripe_refund_id) for each in refunds_in(database)] == [
        ("FAILED", "re_1"),
        ("DONE", "re_2"),
    ]
    assert order_in(database).refunded_cents == 1250
    assert kinds_of(to_dos_of(database)) == ["RESTOCK"]
    assert_invariants(database)


def test_a_payment_refunded_by_hand_is_the_refund_that_was_owed(
    database: Database, now: datetime
) -> None:
    refund_id = sent_back_late(database, now)

    told = take(database, now, *[report_of()] * 2)

    assert told == [True, False]
    (refund,) = refunds_in(database)
    assert (refund.id, refund.status, refund.stripe_refund_id) == (
        refund_id,
        "DONE",
        "re_1",
    )
    assert kinds_of(to_dos_of(database)) == ["TOO_LATE"]
