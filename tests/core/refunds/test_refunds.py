"""The rules of refunds that the owner asks for, and of those that fail."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from core import records
from core.checkout import late_money
from core.database.engine import Database
from core.errors import NotFoundError, RefundRefusedError
from core.models.mail import Mail
from core.models.refunds import DONE, SENT
from core.orders import orders
from core.orders.views import OrderView
from core.owner import to_dos
from core.refunds import progress
from tests.core.mailing import all_sent
from tests.core.money_back import (
    WHO,
    again,
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
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    at_once,
    payment_of,
    reserved,
    sold,
    to_dos_of,
)


def test_all_that_was_paid_goes_back_and_nothing_is_owed_any_more(
    database: Database, order: OrderView, now: datetime
) -> None:
    request(database, order, 1250, now, reason="broken")

    (refund,) = refunds_in(database)
    assert (refund.status, refund.cause, refund.amount_cents) == (
        "REQUESTED",
        "OWNER",
        1250,
    )
    assert (refund.who, refund.reason) == (WHO, "broken")
    assert (refund.payment_intent, refund.order_id) == ("pi_1", order.number)
    after = order_in(database)
    assert (after.status, after.refunded_cents) == ("REFUNDED", 1250)
    assert_invariants(database)


def test_a_part_goes_back_and_the_order_stands(
    database: Database, order: OrderView, now: datetime
) -> None:
    request(database, order, 500, now)

    after = order_in(database)
    assert (after.status, after.refunded_cents) == ("PAID", 500)


def test_parts_that_make_up_all_of_it_are_all_of_it(
    database: Database, order: OrderView, now: datetime
) -> None:
    for cents in (500, 749, 1):
        request(database, order, cents, now)

    after = order_in(database)
    assert (after.status, after.refunded_cents) == ("REFUNDED", 1250)


@pytest.mark.parametrize("cents", [751, 10**12, 0, -1, -500])
def test_more_than_is_left_is_refused_with_what_is_left(
    database: Database, order: OrderView, now: datetime, cents: int
) -> None:
    request(database, order, 500, now)

    with pytest.raises(RefundRefusedError) as refusal:
        request(database, order, cents, now)

    assert (refusal.value.wanted_cents, refusal.value.left_cents) == (cents, 750)
    assert [refund.amount_cents for refund in refunds_in(database)] == [500]
    assert order_in(database).refunded_cents == 500


def test_what_cost_nothing_has_no_payment_to_send_back(
    database: Database, now: datetime
) -> None:
    checkout_id = reserved(database, {add_product(database): 1}, now)
    free = payment_of(cents=0, intent=None)
    database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, free, now=now)
    )

    with pytest.raises(NotFoundError):
        request(database, order_in(database), 1, now)


def test_two_refunds_at_once_take_no_more_than_was_paid(
    database: Database, order: OrderView, now: datetime
) -> None:
    outcomes = at_once([lambda: request(database, order, 1000, now)] * 4)

    refused = [each for each in outcomes if isinstance(each, RefundRefusedError)]
    assert [each.left_cents for each in refused] == [250] * 3
    assert [refund.amount_cents for refund in refunds_in(database)] == [1000]
    assert order_in(database).refunded_cents == 1000


def letters_in(database: Database) -> list[tuple[str, int]]:
    """Return kind and refund of the letters to customers about refunds."""
    query = select(Mail.kind, Mail.refund_id, Mail.recipient).where(
        Mail.refund_id.is_not(None)
    )
    rows = ask(database, lambda s: s.execute(query.order_by(Mail.id)).all())
    assert {row.recipient for row in rows} <= {"m@shop.example"}
    return [(row.kind, row.refund_id) for row in rows]


def go_on(database: Database, refund_id: int, status: str, now: datetime) -> bool:
    return database.write(lambda s: progress.become(s, refund_id, status, now=now))


def test_the_customer_has_a_letter_once_stripe_has_taken_a_refund(
    database: Database, order: OrderView, now: datetime
) -> None:
    first, second = (request(database, order, cents, now) for cents in (500, 750))
    with pytest.raises(RefundRefusedError):
        request(database, order, 1, now)
    assert letters_in(database) == []

    assert go_on(database, second, SENT, now)
    assert go_on(database, first, DONE, now)
    assert go_on(database, second, DONE, now)
    assert not go_on(database, second, DONE, now)

    assert letters_in(database) == [("REFUND", second), ("REFUND", first)]


def test_a_refund_that_stripe_refuses_is_told_to_nobody_but_the_owner(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)

    fail(database, refund_id, now)

    assert letters_in(database) == []
    assert kinds_of(to_dos_of(database)) == ["REFUND_FAILED"]
    second = again(database, refund_id, now)
    assert letters_in(database) == []
    go_on(database, second, DONE, now)
    assert letters_in(database) == [("REFUND", second)]


def test_who_expects_a_refund_that_fails_later_has_a_letter_of_that(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    go_on(database, refund_id, DONE, now)

    for _ in range(2):
        fail(database, refund_id, now)

    assert letters_in(database) == [("REFUND", refund_id), ("OWED", refund_id)]


def test_whose_late_money_cannot_go_back_has_a_letter_at_once(
    database: Database, now: datetime
) -> None:
    refund_id = sent_back_late(database, now)

    fail(database, refund_id, now)

    assert letters_in(database) == [("OWED", refund_id)]
    second = again(database, refund_id, now)
    fail(database, second, now)
    assert letters_in(database) == [("OWED", refund_id)]


def test_trying_again_ticks_off_the_failure_and_a_second_one_is_entered(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    fail(database, refund_id, now)
    (failure,) = to_dos_of(database)

    second = again(database, refund_id, now)

    assert to_dos_of(database) == []
    (done,) = ask(database, lambda s: to_dos.entries(s, done=True))
    assert (done.id, done.done_by) == (failure.id, WHO)
    assert [refund.owed_cents for refund in refunds_in(database)] == [0, 0]
    fail(database, second, now)
    (entry,) = to_dos_of(database)
    assert entry.id != failure.id
    assert [refund.owed_cents for refund in refunds_in(database)] == [0, 500]


def test_what_lives_again_and_fails_again_comes_up_again(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    fail(database, refund_id, now)
    key = key_of(database, refund_id)

    all_sent(database)

    take(database, now, report_of(cents=500, key=key, status="pending"))

    assert to_dos_of(database) == []
    assert letters_in(database) == [("REFUND", refund_id)]
    fail(database, refund_id, now)
    assert kinds_of(to_dos_of(database)) == ["REFUND_FAILED"]
    told = ask(
        database,
        lambda s: s.scalars(
            select(Mail.key).where(Mail.kind == "TO_DO").order_by(Mail.id)
        ).all(),
    )
    assert told == ["to-do-1", "to-do-1-again"]


def test_a_wait_is_over_when_stripe_takes_the_refund(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    late = now + timedelta(days=2)
    database.write(lambda s: progress.put_off(s, refund_id, now=late))
    assert kinds_of(to_dos_of(database)) == ["REFUND_WAITS"]

    go_on(database, refund_id, SENT, late)

    assert to_dos_of(database) == []


def test_an_owner_who_ticked_a_failure_off_is_not_asked_for_it_again(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)
    fail(database, refund_id, now)
    assert [refund.owed_cents for refund in refunds_in(database)] == [500]
    (entry,) = to_dos_of(database)

    database.write(lambda s: records.tick_off(s, entry.id, who=WHO, now=now))

    assert [refund.owed_cents for refund in refunds_in(database)] == [0]


@pytest.mark.parametrize("is_all", [True, False])
def test_an_order_for_review_that_goes_back_whole_needs_no_agreement(
    database: Database, now: datetime, *, is_all: bool
) -> None:
    sold(database, {add_product(database): 1}, now, cents=1000)
    assert kinds_of(to_dos_of(database)) == ["AMOUNT"]

    request(database, order_in(database), 1000 if is_all else 999, now)

    assert kinds_of(to_dos_of(database)) == ([] if is_all else ["AMOUNT"])


@pytest.mark.parametrize("is_fulfilled", [False, True])
def test_a_refund_that_fails_frees_what_it_had_taken_and_is_entered(
    database: Database, order: OrderView, now: datetime, *, is_fulfilled: bool
) -> None:
    if is_fulfilled:
        database.write(lambda s: orders.fulfil(s, order.number, who=WHO, now=now))
    before = order_in(database).status
    refund_id = request(database, order, 1250, now)

    first, second = (fail(database, refund_id, now) for _ in range(2))

    assert (first, second) == (True, False)
    (refund,) = refunds_in(database)
    assert (refund.status, refund.failure) == ("FAILED", "expired card")
    after = order_in(database)
    assert (after.status, after.refunded_cents) == (before, 0)
    (entry,) = to_dos_of(database)
    assert (entry.kind, entry.amount_cents, entry.order_id) == (
        "REFUND_FAILED",
        1250,
        order.number,
    )
    request(database, order, 1250, now)


@pytest.mark.parametrize("is_accepted", [True, False])
def test_an_order_for_review_is_one_again_unless_it_was_accepted(
    database: Database, now: datetime, *, is_accepted: bool
) -> None:
    sold(database, {add_product(database): 1}, now, cents=1000)
    order = order_in(database)
    if is_accepted:
        database.write(lambda s: orders.accept(s, order.number, who=WHO, now=now))
    refund = request(database, order, 1000, now)
    assert order_in(database).status == "REFUNDED"

    fail(database, refund, now)

    assert order_in(database).status == ("PAID" if is_accepted else "REVIEW")


def test_a_failed_refund_of_an_order_is_tried_again_under_a_key_of_its_own(
    database: Database, order: OrderView, now: datetime
) -> None:
    failed = request(database, order, 500, now, reason="broken")
    fail(database, failed, now)

    second = again(database, failed, now)

    old, new = refunds_in(database)
    assert (old.id, old.status) == (failed, "FAILED")
    assert (new.id, new.status, new.amount_cents) == (second, "REQUESTED", 500)
    assert (new.reason, new.who) == ("broken", WHO)
    assert key_of(database, failed) != key_of(database, second)
    assert order_in(database).refunded_cents == 500


def test_a_failed_refund_of_late_money_is_tried_again_under_a_key_of_its_own(
    database: Database, now: datetime
) -> None:
    failed = sent_back_late(database, now)
    fail(database, failed, now)

    second = again(database, failed, now)

    assert key_of(database, failed) != key_of(database, second)
    (_, new) = refunds_in(database)
    assert (new.status, new.amount_cents, new.payment_intent) == (
        "REQUESTED",
        1250,
        "pi_1",
    )


def test_a_failed_refund_of_an_order_is_tried_again_only_once(
    database: Database, order: OrderView, now: datetime
) -> None:
    failed = request(database, order, 500, now)
    fail(database, failed, now)
    again(database, failed, now)

    with pytest.raises(NotFoundError):
        again(database, failed, now)

    assert order_in(database).refunded_cents == 500


def test_a_failed_refund_of_late_money_is_tried_again_only_once(
    database: Database, now: datetime
) -> None:
    failed = sent_back_late(database, now)
    fail(database, failed, now)
    again(database, failed, now)

    with pytest.raises(NotFoundError):
        again(database, failed, now)

    assert len(refunds_in(database)) == 2


def test_what_has_not_failed_is_not_tried_again(
    database: Database, order: OrderView, now: datetime
) -> None:
    refund_id = request(database, order, 500, now)

    for unknown in (refund_id, refund_id + 1):
        with pytest.raises(NotFoundError):
            again(database, unknown, now)

    assert len(refunds_in(database)) == 1
