"""What the owner may find in the shop."""

from datetime import timedelta

from core import orders, reservations
from core.clock import utcnow
from core.database import Database
from core.orders import Payment
from tests.factories import reserved


def payment(number: int, *, amount_cents: int, name: str = "Een klant") -> Payment:
    return Payment(
        stripe_session_id=f"cs_test_{number}",
        payment_intent=f"pi_{number}",
        amount_cents=amount_cents,
        currency="eur",
        customer_name=name,
        customer_email="klant@example.com",
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
        lambda session: orders.confirm(session, checkout_id, paid, now=utcnow())
    )
    return checkout_id


def refund_requested(database: Database, cart: dict[int, int]) -> None:
    checkout_id = reserved(database, cart, utcnow())
    late = payment(checkout_id, amount_cents=1295)
    database.write(
        lambda session: reservations.expire(
            session, checkout_id, cause="time", now=utcnow()
        )
    )
    database.write(
        lambda session: orders.request_refund(session, checkout_id, late, now=utcnow())
    )


def awaiting_payment(database: Database, cart: dict[int, int]) -> None:
    checkout_id = reserved(database, cart, utcnow())
    until = utcnow() + timedelta(days=1)
    database.write(lambda session: reservations.prolong(session, checkout_id, until))


def ended(database: Database, checkout_id: int) -> None:
    database.write(
        lambda session: reservations.cancel(
            session, checkout_id, cause="customer", now=utcnow()
        )
    )
