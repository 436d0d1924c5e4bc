"""Refunds as tests ask for them, and reports of them as Stripe would give."""

from datetime import datetime

from sqlalchemy.orm import Session

from core.database.engine import Database
from core.models.checkout import EXPIRED
from core.models.records import TOO_LATE
from core.models.refunds import Refund
from core.orders.views import OrderView
from core.owner.to_dos import ToDoView
from core.payments.data import RefundReport
from core.refunds import progress, refunds, stripe_reports
from core.refunds import views as refund_views
from core.refunds.views import RefundView
from core.stock import reservations
from core.stock.reservations import Closed
from tests.factories import add_product, ask, orders_of, payment_of, reserved

WHO = "owner@shop.example"


def order_in(database: Database) -> OrderView:
    (order,) = orders_of(database)
    return order


def refunds_in(database: Database) -> list[RefundView]:
    """Return the refunds, the oldest first."""
    return ask(database, refund_views.refunds)[::-1]


def kinds_of(entries: list[ToDoView]) -> list[str]:
    return [entry.kind for entry in entries]


def report_of(
    refund_id: str = "re_1",
    *,
    cents: int = 1250,
    status: str = "succeeded",
    key: str = "",
    intent: str = "pi_1",
) -> RefundReport:
    return RefundReport(refund_id, intent, cents, "eur", status, key, "")


def request(
    database: Database, order: OrderView, cents: int, now: datetime, *, reason: str = ""
) -> int:
    return database.write(
        lambda s: refunds.request_by_owner(
            s, order.number, cents, reason=reason, who=WHO, now=now
        )
    )


def take(database: Database, now: datetime, *told: RefundReport) -> list[bool]:
    """Take reports, each in a transaction of its own; tell which were new."""

    def take_one(report: RefundReport) -> bool:
        return database.write(lambda s: stripe_reports.take_report(s, report, now=now))

    return [take_one(report) for report in told]


def fail(database: Database, refund_id: int, now: datetime) -> bool:
    return database.write(
        lambda s: progress.fail(s, refund_id, failure="expired card", now=now)
    )


def again(database: Database, refund_id: int, now: datetime) -> int:
    return database.write(
        lambda s: refunds.request_again(s, refund_id, who=WHO, now=now)
    )


def key_of(database: Database, refund_id: int) -> str:
    return ask(database, lambda s: s.get_one(Refund, refund_id).idempotency_key)


def sent_back_late(
    database: Database,
    now: datetime,
    *,
    session_id: str = "cs_test_1",
    intent: str = "pi_1",
) -> int:
    """Ask for the automatic refund of a payment whose units were gone."""
    checkout_id = reserved(database, {add_product(database): 1}, now)
    payment = payment_of(session_id, intent=intent)

    def work(session: Session) -> None:
        reservations.end(session, checkout_id, Closed(EXPIRED, "hold over"), now=now)
        refunds.request_automatic(session, checkout_id, payment, kind=TOO_LATE, now=now)

    database.write(work)
    return refunds_in(database)[-1].id
