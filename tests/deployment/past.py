"""A shop as it was before refunds, entries and letters had their tables."""

from datetime import UTC, datetime, timedelta

from alembic import command
from sqlalchemy import Connection, MetaData, Table, create_engine, insert

from core.database.schema import alembic_config

BEFORE = "0003"
BY_HAND = ("hand_1", "hand_2")
MOMENT = datetime(2026, 11, 20, 12, 30, 15, 123_456, tzinfo=UTC)
LATER = MOMENT + timedelta(days=3)


def make_reconciled(url: str) -> None:
    """Make the tables of revision 0004, in which Stripe was compared just now."""
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0004")
        _Past(connection).put(
            "reconciled",
            id=1,
            until=MOMENT,
            looked_back_at=MOMENT,
            look_on_after="cs_7",
            taken_until=LATER,
            finished_at=LATER,
        )
    engine.dispose()


def make(url: str, *, is_empty: bool) -> None:
    """Make the tables of before, and fill them as a shop at work does."""
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), BEFORE)
    if not is_empty:
        with engine.begin() as connection:
            _at_work(_Past(connection))
    engine.dispose()


class _Past:
    """Puts rows into the tables of before; what is left out is as it would be."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def put(self, table_name: str, /, **values: object) -> int:
        """Insert a row; its number is the next one. Return it."""
        table = Table(table_name, MetaData(), autoload_with=self.connection)
        put = self.connection.execute(insert(table).values(**values))
        (number,) = put.inserted_primary_key or (0,)
        return 0 if table_name == "stripe_event" else int(number)

    def checkout(self, product_id: int, name: str, status: str) -> int:
        ended = None if status == "PENDING" else MOMENT
        checkout_id = self.put(
            "checkout",
            visitor=name,
            status=status,
            idempotency_key=f"checkout-{name}",
            stripe_session_id=f"cs_{name}",
            stripe_expires_at=LATER,
            created_at=MOMENT,
            expires_at=LATER,
            closed_at=ended,
        )
        self.put(
            "stock_reservation",
            checkout_id=checkout_id,
            product_id=product_id,
            stripe_session_id=f"cs_{name}",
            quantity=1,
            unit_price_cents=1250,
            currency="eur",
            vat_bp=2100,
            product_name="Mug",
            expires_at=LATER,
            status=status,
        )
        return checkout_id

    def refund(
        self, product_id: int, status: str, stripe_id: str | None, *, name: str = ""
    ) -> None:
        """A payment that came too late for its checkout, and went back."""
        name = name or status.lower()
        self.put(
            "refund",
            checkout_id=self.checkout(product_id, name, "EXPIRED"),
            stripe_session_id=f"cs_{name}",
            payment_intent=f"pi_{name}",
            stripe_refund_id=stripe_id,
            amount_cents=1250,
            currency="eur",
            status=status,
            created_at=MOMENT,
            done_at=None if status == "REQUESTED" else LATER,
        )

    def order_for_review(self, product_id: int) -> None:
        checkout_id = self.checkout(product_id, "review", "CONFIRMED")
        order_id = self.put(
            "orders",
            checkout_id=checkout_id,
            stripe_session_id="cs_review",
            payment_intent="pi_review",
            token="a-token",
            status="REVIEW",
            currency="eur",
            amount_cents=1000,
            promised_currency="eur",
            promised_cents=1250,
            customer_email="m@shop.example",
            created_at=MOMENT,
        )
        self.put(
            "order_line",
            order_id=order_id,
            product_id=product_id,
            product_name="Mug",
            quantity=1,
            unit_price_cents=1250,
            vat_bp=2100,
        )
        self.move(product_id, -1, "sold", order_id)

    def move(
        self, product_id: int, quantity: int, reason: str, order_id: int | None = None
    ) -> None:
        self.put(
            "stock_movement",
            product_id=product_id,
            quantity=quantity,
            reason=reason,
            order_id=order_id,
            created_at=MOMENT,
        )

    def product(self) -> int:
        """Five came in; one is sold below, one is held."""
        product_id = self.put(
            "product",
            slug="mug",
            name="Mug",
            price_cents=1250,
            stock=4,
            reserved=1,
            handle="mug",
            title="Mug",
            created_at=MOMENT,
        )
        self.move(product_id, 5, "received")
        return product_id

    def event(self, event_id: str, kind: str) -> None:
        self.put(
            "stripe_event",
            id=event_id,
            type=kind,
            stripe_session_id="cs_review",
            outcome="PAID",
            received_at=MOMENT,
        )


def _at_work(past: _Past) -> None:
    """Fill the tables of before as a shop does."""
    mug = past.product()
    past.put(
        "product",
        slug="book",
        name="Book",
        price_cents=995,
        vat_bp=900,
        handle="book",
        title="Book",
        created_at=MOMENT,
    )
    past.order_for_review(mug)
    past.refund(mug, "DONE", "re_done")
    past.refund(mug, "FAILED", None)
    past.refund(mug, "REQUESTED", None)
    for name in BY_HAND:
        past.refund(mug, "DONE", "already refunded", name=name)
    past.checkout(mug, "open", "PENDING")
    for number in (1, 2):
        past.event(f"evt_{number}", "checkout.session.completed")
