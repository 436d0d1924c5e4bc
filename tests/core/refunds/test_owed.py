"""What is still owed of a refund that failed, whoever asks: page, letter or owner."""

from datetime import datetime

import pytest
from sqlalchemy import select

from core import records
from core.database.engine import Database
from core.errors import NotFoundError
from core.models.mail import Mail
from core.models.refunds import DONE, Refund
from core.orders.views import OrderView
from core.payments.data import DisputeReport
from core.refunds import disputes, owed, progress
from tests.core.money_back import (
    again,
    fail,
    kinds_of,
    order_in,
    refunds_in,
    report_of,
    request,
    sent_back_late,
    take,
)
from tests.factories import add_product, ask, sold, to_dos_of


def owed_of(database: Database, refund_id: int) -> int:
    return ask(database, lambda s: owed.cents(s, s.get_one(Refund, refund_id)))


def lose(database: Database, now: datetime, cents: int) -> None:
    report = DisputeReport("du_1", "pi_1", cents, "eur", "general", "lost", None)
    database.write(lambda s: disputes.take_report(s, report, now=now))


def letters_in(database: Database) -> list[str]:
    query = select(Mail.key).where(Mail.refund_id.is_not(None)).order_by(Mail.id)
    return ask(database, lambda s: list(s.scalars(query)))


def test_late_money_that_failed_is_owed_until_it_went_by_hand(
    database: Database, now: datetime
) -> None:
    refund_id = sent_back_late(database, now)
    assert owed_of(database, refund_id) == 0
    fail(database, refund_id, now)
    assert owed_of(database, refund_id) == 1250
    assert "REFUND_FAILED" in kinds_of(to_dos_of(database))

    take(database, now, report_of("re_1", cents=500))
    assert owed_of(database, refund_id) == 750
    assert "REFUND_FAILED" in kinds_of(to_dos_of(database))
    take(database, now, report_of("re_2", cents=750))

    assert owed_of(database, refund_id) == 0
    assert kinds_of(to_dos_of(database)) == ["TOO_LATE"]


def test_only_what_is_owed_is_tried_again(database: Database, now: datetime) -> None:
    refund_id = sent_back_late(database, now)
    fail(database, refund_id, now)
    take(database, now, report_of("re_1", cents=500))

    second = again(database, refund_id, now)

    amounts = {each.id: each.amount_cents for each in refunds_in(database)}
    assert amounts[second] == 750


def test_what_a_second_try_took_is_owed_no_more_unless_it_fails_too(
    database: Database, now: datetime
) -> None:
    refund_id = sent_back_late(database, now)
    fail(database, refund_id, now)

    second = again(database, refund_id, now)
    assert owed_of(database, refund_id) == 0
    fail(database, second, now)

    assert owed_of(database, refund_id) == owed_of(database, second) == 1250


def test_a_refund_of_another_payment_takes_nothing_of_what_is_owed(
    database: Database, order: OrderView, now: datetime
) -> None:
    late = sent_back_late(database, now, session_id="cs_late", intent="pi_late")
    fail(database, late, now)

    request(database, order, 1250, now)

    assert owed_of(database, late) == 1250


def test_of_an_order_what_was_made_by_hand_after_the_failure_was_made_instead(
    database: Database, order: OrderView, now: datetime
) -> None:
    take(database, now, report_of("re_before", cents=100))
    refund_id = request(database, order, 500, now)
    fail(database, refund_id, now)
    assert owed_of(database, refund_id) == 500

    take(database, now, report_of("re_after", cents=500))

    assert owed_of(database, refund_id) == 0
    assert "REFUND_FAILED" not in kinds_of(to_dos_of(database))
    with pytest.raises(NotFoundError):
        again(database, refund_id, now)
    assert order_in(database).refunded_cents == 600


def test_what_a_bank_took_in_a_dispute_is_owed_to_nobody(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 1250, now)
    fail(database, refund_id, now)

    lose(database, now, 1000)
    assert owed_of(database, refund_id) == 250
    lose_all = DisputeReport("du_2", "pi_1", 250, "eur", "general", "lost", None)
    database.write(lambda s: disputes.take_report(s, lose_all, now=now))

    assert owed_of(database, refund_id) == 0
    assert kinds_of(to_dos_of(database)) == ["DISPUTED", "DISPUTED"]


def test_what_is_left_of_an_order_is_never_below_nothing(
    database: Database, order: OrderView, now: datetime
) -> None:
    request(database, order, 1000, now)

    lose(database, now, 1250)

    assert order_in(database).left_cents == 0


def test_who_was_told_twice_that_money_comes_is_told_twice_that_it_does_not(
    database: Database, now: datetime
) -> None:
    refund_id = sent_back_late(database, now)
    fail(database, refund_id, now)
    take(database, now, report_of("re_1"))

    fail(database, refund_id, now)

    assert letters_in(database) == ["owed-1", "refund-1", "owed-1-again"]


def test_one_that_had_failed_before_it_was_heard_of_can_be_tried_again(
    database: Database, order: OrderView, now: datetime
) -> None:
    take(database, now, report_of("re_1", cents=500, status="failed"))
    (failed,) = refunds_in(database)
    assert failed.owed_cents == 500

    again(database, failed.id, now)

    assert to_dos_of(database) == []


def test_an_order_for_review_comes_up_again_when_its_full_refund_fails(
    database: Database, now: datetime
) -> None:
    sold(database, {add_product(database): 1}, now, cents=1000)
    refund_id = request(database, order_in(database), 1000, now)
    assert to_dos_of(database) == []

    fail(database, refund_id, now)

    assert sorted(kinds_of(to_dos_of(database))) == ["AMOUNT", "REFUND_FAILED"]


def test_a_part_that_goes_back_brings_up_no_amount_that_was_ticked_off(
    database: Database, now: datetime
) -> None:
    sold(database, {add_product(database): 1}, now, cents=1000)
    (entry,) = to_dos_of(database)
    database.write(lambda s: records.tick_off(s, entry.id, who="ben", now=now))

    request(database, order_in(database), 500, now)

    assert to_dos_of(database) == []


def test_an_order_for_review_that_goes_back_whole_by_hand_needs_no_agreement(
    database: Database, now: datetime
) -> None:
    sold(database, {add_product(database): 1}, now, cents=1000)

    take(database, now, report_of(cents=1000))

    assert kinds_of(to_dos_of(database)) == ["RESTOCK"]


def test_a_refund_that_has_gone_does_not_wait(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    database.write(lambda s: progress.become(s, refund_id, DONE, now=now))
    late = now.replace(year=now.year + 1)

    database.write(lambda s: progress.put_off(s, refund_id, now=late))

    assert to_dos_of(database) == []
