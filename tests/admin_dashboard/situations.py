"""What the owner may find in the shop."""

from datetime import timedelta

from sqlalchemy import select

from core.checkout import late_money
from core.clock import utcnow
from core.database.engine import Database
from core.models.checkout import CANCELLED, EXPIRED
from core.models.orders import Order
from core.models.records import TOO_LATE
from core.models.refunds import Refund
from core.orders import views as order_views
from core.orders.views import OrderView
from core.payments.data import DisputeReport, Payment, RefundReport
from core.refunds import disputes, refunds, stripe_reports
from core.stock import reservations
from core.stock.reservations import Closed
from tests.factories import payment_of, reserved


def payment(number: int, *, amount_cents: int, name: str = "Een klant") -> Payment:
    return payment_of(
        f"cs_test_{number}",
        cents=amount_cents,
        name=name,
        email="klant@example.com",
        intent=f"pi_{number}",
    )


def sold(
    database: Database,
    cart: dict[int, int],
    *,
    amount_cents: int,
    name: str = "Een klant",
) -> int:
    """Sell *cart*; return the checkout's id."""
    checkout_id = reserved(database, cart, utcnow())
    paid = payment(checkout_id, amount_cents=amount_cents, name=name)
    database.write(
        lambda session: late_money.confirm_or_retake(
            session, checkout_id, paid, now=utcnow()
        )
    )
    return checkout_id


def refund_requested(database: Database, cart: dict[int, int]) -> None:
    checkout_id = reserved(database, cart, utcnow())
    late = payment(checkout_id, amount_cents=1295)
    database.write(
        lambda session: reservations.end(
            session, checkout_id, Closed(EXPIRED, "time"), now=utcnow()
        )
    )
    database.write(
        lambda session: refunds.request_automatic(
            session, checkout_id, late, kind=TOO_LATE, now=utcnow()
        )
    )


def awaiting_payment(database: Database, cart: dict[int, int]) -> None:
    checkout_id = reserved(database, cart, utcnow())
    now = utcnow()
    until = now + timedelta(days=1)
    database.write(
        lambda session: reservations.prolong(session, checkout_id, until, now=now)
    )


def ended(database: Database, checkout_id: int) -> None:
    database.write(
        lambda session: reservations.end(
            session, checkout_id, Closed(CANCELLED, "customer"), now=utcnow()
        )
    )


def order_of(database: Database, checkout_id: int) -> OrderView:
    with database.read() as session:
        order = order_views.of_checkout(session, checkout_id)
    assert order
    return order


def stripe_says(  # noqa: PLR0913 (a report, as Stripe gives it)
    database: Database,
    number: int,
    status: str,
    *,
    amount_cents: int,
    key: str = "",
    failure: str = "",
    refund_id: str = "",
) -> None:
    """Report a refund of an order's payment as Stripe would."""
    with database.read() as session:
        payment_intent = session.get_one(Order, number).payment_intent or ""
    report = RefundReport(
        id=refund_id or f"re_{number}",
        payment_intent=payment_intent,
        amount_cents=amount_cents,
        currency="eur",
        status=status,
        key=key,
        failure=failure,
    )
    database.write(
        lambda session: stripe_reports.take_report(session, report, now=utcnow())
    )


def refund_failed(database: Database, number: int, *, amount_cents: int) -> int:
    """Ask for a refund that Stripe takes and the bank refuses; return its id."""
    refund_id = database.write(
        lambda session: refunds.request_by_owner(
            session, number, amount_cents, reason="", who="iemand", now=utcnow()
        )
    )
    with database.read() as session:
        query = select(Refund.idempotency_key).where(Refund.id == refund_id)
        key = session.scalars(query).one()
    stripe_says(
        database,
        number,
        "failed",
        amount_cents=amount_cents,
        key=key,
        failure="expired_or_canceled_card",
    )
    return refund_id


def disputed(
    database: Database,
    number: int,
    *,
    amount_cents: int,
    status: str = "needs_response",
) -> None:
    with database.read() as session:
        payment_intent = session.get_one(Order, number).payment_intent or ""
    report = DisputeReport(
        id="dp_1",
        payment_intent=payment_intent,
        amount_cents=amount_cents,
        currency="eur",
        reason="product_not_received",
        status=status,
        due_by=utcnow() + timedelta(days=7),
    )
    database.write(lambda session: disputes.take_report(session, report, now=utcnow()))
