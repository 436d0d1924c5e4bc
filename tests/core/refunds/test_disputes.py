"""Disputes: the owner hears of each once, and of how it goes on."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from core import records
from core.checkout import events
from core.database.engine import Database
from core.errors import PaymentUnavailableError
from core.models.mail import Mail
from core.models.records import CheckoutStep
from core.orders.views import OrderView
from core.payments.data import DisputeReport, Event
from core.refunds import disputes, refunds
from core.refunds import views as refund_views
from core.refunds.views import DisputeView
from core.shop import Shop
from tests.core.mailing import all_sent
from tests.core.money_back import order_in, sent_back_late
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    at_once,
    bought,
    payment_of,
    to_dos_of,
)


def report_of(
    status: str = "needs_response",
    *,
    intent: str = "pi_1",
    due_by: datetime | None = None,
) -> DisputeReport:
    return DisputeReport("du_1", intent, 1250, "eur", "fraudulent", status, due_by)


def take(database: Database, report: DisputeReport, now: datetime) -> bool:
    return database.write(lambda s: disputes.take_report(s, report, now=now))


def disputes_in(database: Database) -> list[DisputeView]:
    return ask(database, refund_views.disputes)


def causes_in(database: Database) -> list[str]:
    """Return what was kept of how the disputes went, the oldest first."""
    query = (
        select(CheckoutStep.cause)
        .where(CheckoutStep.what == "DISPUTE")
        .order_by(CheckoutStep.id)
    )
    return ask(database, lambda s: list(s.scalars(query)))


def test_a_dispute_is_entered_for_the_owner_once(
    database: Database, order: OrderView, now: datetime
) -> None:
    due_by = now + timedelta(days=7)

    first, second = (
        take(database, report_of(due_by=due_by), now + timedelta(minutes=minutes))
        for minutes in (0, 1)
    )

    assert (first, second) == (True, False)
    (dispute,) = disputes_in(database)
    assert (dispute.stripe_dispute_id, dispute.status) == ("du_1", "needs_response")
    assert (dispute.amount_cents, dispute.reason) == (1250, "fraudulent")
    assert (dispute.due_by, dispute.created_at) == (due_by, now)
    (entry,) = to_dos_of(database)
    assert (entry.kind, entry.stripe_id) == ("DISPUTED", "du_1")
    assert (entry.order_id, entry.created_at) == (order.number, now)


def letters_in(database: Database) -> list[str]:
    query = select(Mail.key).where(Mail.kind == "TO_DO").order_by(Mail.id)
    return ask(database, lambda s: list(s.scalars(query)))


def test_the_owner_has_a_letter_about_a_dispute_and_one_about_its_end(
    database: Database, order: OrderView, now: datetime
) -> None:
    take(database, report_of(), now)
    all_sent(database)
    for status in ("under_review", "lost", "lost"):
        take(database, report_of(status), now)

    assert letters_in(database) == ["to-do-1", "to-do-1-lost"]


def test_a_letter_that_waits_when_the_dispute_ends_tells_of_both(
    database: Database, order: OrderView, now: datetime
) -> None:
    for status in ("needs_response", "lost"):
        take(database, report_of(status), now)

    assert letters_in(database) == ["to-do-1"]


def test_a_dispute_that_is_heard_of_when_it_is_over_is_told_once(
    database: Database, order: OrderView, now: datetime
) -> None:
    take(database, report_of("lost"), now)

    assert letters_in(database) == ["to-do-1"]
    (entry,) = to_dos_of(database)
    assert entry.dispute is not None
    assert entry.dispute.status == "lost"


def test_how_a_dispute_goes_on_is_kept_step_by_step(
    database: Database, order: OrderView, now: datetime
) -> None:
    for status in ("needs_response", "under_review", "under_review", "won"):
        take(database, report_of(status), now)

    (dispute,) = disputes_in(database)
    assert dispute.status == "won"
    assert causes_in(database) == [
        "needs_response (fraudulent)",
        "under_review (fraudulent)",
        "won (fraudulent)",
    ]
    assert len(to_dos_of(database)) == 1


def test_an_entry_that_was_ticked_off_comes_up_again_with_the_end_of_the_dispute(
    database: Database, order: OrderView, now: datetime
) -> None:
    take(database, report_of(), now)
    (entry,) = to_dos_of(database)
    database.write(lambda s: records.tick_off(s, entry.id, who="ben", now=now))

    take(database, report_of("under_review"), now)
    assert to_dos_of(database) == []
    take(database, report_of("lost"), now)

    assert [again.id for again in to_dos_of(database)] == [entry.id]
    assert disputes_in(database)[0].status == "lost"


@pytest.mark.parametrize(
    ("status", "is_disputed", "lost_cents"),
    [
        ("needs_response", True, 0),
        ("under_review", True, 0),
        ("warning_needs_response", True, 0),
        ("won", False, 0),
        ("prevented", False, 0),
        ("warning_closed", False, 0),
        ("lost", False, 1250),
    ],
)
def test_an_order_tells_what_its_dispute_has_taken(
    database: Database,
    order: OrderView,
    now: datetime,
    status: str,
    lost_cents: int,
    *,
    is_disputed: bool,
) -> None:
    take(database, report_of(status), now)

    after = order_in(database)

    assert (after.is_disputed, after.lost_cents) == (is_disputed, lost_cents)
    assert after.left_cents == 1250 - lost_cents
    assert after.vat == [(2100, 217)]
    assert after.vat_left == ([(2100, 217)] if not lost_cents else [])


def test_a_dispute_of_a_second_payment_takes_nothing_of_the_order(
    database: Database, order: OrderView, now: datetime
) -> None:
    second = payment_of("cs_second", intent="pi_second")
    database.write(
        lambda s: refunds.request_automatic(
            s, order.checkout_id, second, kind="PAID_TWICE", now=now
        )
    )

    take(database, report_of("lost", intent="pi_second"), now)

    assert order_in(database).lost_cents == 0


def test_a_dispute_about_money_that_came_too_late_is_entered_too(
    database: Database, now: datetime
) -> None:
    sent_back_late(database, now)

    take(database, report_of(), now)

    assert [entry.kind for entry in to_dos_of(database)] == ["TOO_LATE", "DISPUTED"]
    assert len(disputes_in(database)) == 1


@pytest.mark.parametrize("intent", ["pi_other", ""])
def test_a_dispute_about_a_payment_that_is_not_ours_is_passed_over(
    database: Database, order: OrderView, now: datetime, intent: str
) -> None:
    assert take(database, report_of(intent=intent), now) is False

    assert disputes_in(database) == []
    assert to_dos_of(database) == []


def test_one_dispute_told_from_many_sides_at_once_is_one(
    database: Database, order: OrderView, now: datetime
) -> None:
    report = report_of()

    outcomes = at_once([lambda: take(database, report, now)] * 8)

    assert [each for each in outcomes if isinstance(each, Exception)] == []
    assert len(disputes_in(database)) == 1
    assert len(to_dos_of(database)) == 1
    assert causes_in(database) == ["needs_response (fraudulent)"]


def test_its_end_told_from_many_sides_at_once_is_one_step(
    database: Database, order: OrderView, now: datetime
) -> None:
    take(database, report_of(), now)
    report = report_of("won")

    at_once([lambda: take(database, report, now)] * 8)

    assert causes_in(database) == ["needs_response (fraudulent)", "won (fraudulent)"]


def event_of(order: OrderView, dispute_id: str, kind: str, number: int) -> Event:
    return Event(
        id=f"evt_d{number}",
        type=f"charge.dispute.{kind}",
        object_id=dispute_id,
        object_type="dispute",
        payment_intent=order.payment_intent,
    )


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_a_dispute_at_stripe_is_followed_by_its_messages(
    shop: Shop, stripe: EmulatorServer, clock: FakeClock, outcome: str
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})
    dispute_id = stripe.dispute(order.stripe_session_id, amount=1000)["id"]
    events.record_event(shop, event_of(order, dispute_id, "created", 1))
    (before,) = disputes_in(shop.database)
    clock.advance(days=3)

    stripe.close_dispute(dispute_id, outcome)
    for number, kind in enumerate(("updated", "closed", "closed", "created"), 2):
        events.record_event(shop, event_of(order, dispute_id, kind, number))

    (after,) = disputes_in(shop.database)
    assert (before.status, before.amount_cents) == ("needs_response", 1000)
    assert before.due_by is not None
    assert after.status == outcome
    assert causes_in(shop.database) == [
        "needs_response (fraudulent)",
        f"{outcome} (fraudulent)",
    ]
    assert len(to_dos_of(shop.database)) == 1
    assert order_in(shop.database).status == "PAID"
    assert_invariants(shop.database)


def test_a_message_about_a_dispute_that_stripe_does_not_know_comes_again(
    shop: Shop, stripe: EmulatorServer
) -> None:
    order = bought(shop, stripe, {add_product(shop.database): 1})

    for _ in range(2):
        with pytest.raises(PaymentUnavailableError):
            events.record_event(shop, event_of(order, "du_unknown", "created", 1))

    assert disputes_in(shop.database) == []
