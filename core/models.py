"""
The tables. Money is whole cents, times are UTC, quantities are units.

The CHECK constraints are the second line behind every rule: no bug and no edit by hand
can sell what is not there.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PENDING = "PENDING"
CONFIRMED = "CONFIRMED"
EXPIRED = "EXPIRED"
CANCELLED = "CANCELLED"
STATUSES = (PENDING, CONFIRMED, EXPIRED, CANCELLED)

# SQLite numbers rows by itself only for a column of type INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every database; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        if value is None:
            return None
        return (
            value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        )


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it as it is)
        datetime: UtcDateTime(),
        str: Text(),
    }


def table(model: type[Base]) -> Table:
    """Return the bare table of a model: quicker where no object is wanted."""
    return Base.metadata.tables[model.__tablename__]


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Product(Base):
    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        CheckConstraint("reserved >= 0", name="reserved_not_negative"),
        CheckConstraint("reserved <= stock", name="reserved_within_stock"),
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        CheckConstraint("vat_bp BETWEEN 0 AND 10000", name="vat_is_a_rate"),
        UniqueConstraint("handle", "option_values"),
        # Stock and reserved change all the time; room on the page keeps that cheap.
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    slug: Mapped[str] = mapped_column(String(200), unique=True)
    sku: Mapped[str] = mapped_column(server_default="")
    name: Mapped[str]
    price_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3), server_default="eur")
    vat_bp: Mapped[int] = mapped_column(server_default="2100")
    stock: Mapped[int] = mapped_column(server_default="0")
    reserved: Mapped[int] = mapped_column(server_default="0")
    description: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str] = mapped_column(server_default="")
    vendor: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[str] = mapped_column(server_default="")
    image: Mapped[str] = mapped_column(server_default="")
    image_alt: Mapped[str] = mapped_column(server_default="")
    handle: Mapped[str]
    title: Mapped[str]
    option_names: Mapped[str] = mapped_column(server_default="")
    option_values: Mapped[str] = mapped_column(server_default="")
    # What product files have told of the stock, so that a file imported again after a
    # sale does not bring the sold units back.
    imported_quantity: Mapped[int | None]
    is_listed: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime]

    @property
    def available(self) -> int:
        return self.stock - self.reserved


class StoredOffer(Base):
    """
    What a payment page offers by the settings; a row for each offer there ever was.

    A checkout names the one that it was made with: a second try sends the same bytes,
    even if the shop was started with other settings meanwhile. *content* is JSON.
    """

    __tablename__ = "offer"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    content: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class Checkout(Base):
    """
    One attempt to buy. Its status decides for the whole cart.

    What Stripe is asked for is derived from this row and its reservations alone, so
    that a second try sends the same bytes under the same idempotency key.
    """

    __tablename__ = "checkout"
    __table_args__ = (
        _one_of("status", STATUSES),
        # One live payment page for each visitor: a second one could be paid, too.
        Index(
            "uq_checkout_open_visitor",
            "visitor",
            unique=True,
            postgresql_where=text("status = 'PENDING' AND NOT awaits_payment"),
            sqlite_where=text("status = 'PENDING' AND NOT awaits_payment"),
        ),
        Index(
            "ix_checkout_due",
            "expires_at",
            postgresql_where=text("status = 'PENDING'"),
            sqlite_where=text("status = 'PENDING'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    visitor: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64), server_default="")
    status: Mapped[str] = mapped_column(String(9), server_default=PENDING)
    cause: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(String(8), server_default="nl")
    notice: Mapped[str] = mapped_column(server_default="")
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    stripe_session_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    stripe_expires_at: Mapped[datetime]
    offer_id: Mapped[int | None]
    session_at: Mapped[datetime | None]
    awaits_payment: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


# Why a checkout ended whose bank did not pay.
PAYMENT_FAILED = "payment failed"


class CheckoutStep(Base):
    """
    A step of a checkout or its order that no other row would keep.

    What the rows still say is read from them; this is what a later change would have
    them forget, and what people did. *who* is empty for the shop itself.
    """

    __tablename__ = "checkout_step"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    checkout_id: Mapped[int] = mapped_column(ForeignKey("checkout.id"), index=True)
    what: Mapped[str]
    cause: Mapped[str] = mapped_column(server_default="")
    who: Mapped[str] = mapped_column(server_default="")
    stripe_id: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]


class StockReservation(Base):
    """A customer's claim on units of one product, with the price that was promised."""

    __tablename__ = "stock_reservation"
    __table_args__ = (
        _one_of("status", STATUSES),
        CheckConstraint("quantity > 0", name="quantity_over_zero"),
        UniqueConstraint("checkout_id", "product_id"),
        Index(
            # By time: one that began with the product would be written at random.
            "ix_stock_reservation_due",
            "expires_at",
            "product_id",
            postgresql_where=text("status = 'PENDING'"),
            sqlite_where=text("status = 'PENDING'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    checkout_id: Mapped[int] = mapped_column(ForeignKey("checkout.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    stripe_session_id: Mapped[str | None] = mapped_column(String(255))
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    vat_bp: Mapped[int]
    product_name: Mapped[str]
    expires_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(9), server_default=PENDING)


PAID = "PAID"
REVIEW = "REVIEW"
FULFILLED = "FULFILLED"
REFUNDED = "REFUNDED"


class Order(Base):
    """
    A sale: what is owed to the customer. Written once, at confirm.

    Its amounts, addresses and codes are what Stripe says; what the checkout promised
    for the goods stands beside them. *refunded_cents* counts what went back or is on
    its way. *was_late* when the hold was over, but the units were still free. An
    address is JSON with Stripe's names, or empty.
    """

    __tablename__ = "orders"
    __table_args__ = (
        _one_of("status", (PAID, REVIEW, FULFILLED, REFUNDED)),
        CheckConstraint(
            "refunded_cents BETWEEN 0 AND amount_cents", name="refunded_within_amount"
        ),
        Index(
            "ix_orders_to_review",
            "created_at",
            postgresql_where=text("status = 'REVIEW'"),
            sqlite_where=text("status = 'REVIEW'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    checkout_id: Mapped[int] = mapped_column(ForeignKey("checkout.id"), unique=True)
    stripe_session_id: Mapped[str] = mapped_column(String(255), unique=True)
    payment_intent: Mapped[str | None] = mapped_column(String(255), index=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    status: Mapped[str] = mapped_column(String(9), server_default=PAID)
    was_late: Mapped[bool] = mapped_column(server_default=text("false"))
    currency: Mapped[str] = mapped_column(String(3))
    amount_cents: Mapped[int] = mapped_column(BigInteger)
    promised_currency: Mapped[str] = mapped_column(String(3))
    promised_cents: Mapped[int] = mapped_column(BigInteger)
    discount_cents: Mapped[int] = mapped_column(BigInteger, server_default="0")
    shipping_cents: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tax_cents: Mapped[int] = mapped_column(BigInteger, server_default="0")
    refunded_cents: Mapped[int] = mapped_column(BigInteger, server_default="0")
    promotion_code: Mapped[str] = mapped_column(server_default="")
    shipping_option: Mapped[str] = mapped_column(server_default="")
    customer_name: Mapped[str] = mapped_column(server_default="")
    customer_email: Mapped[str] = mapped_column(server_default="")
    customer_phone: Mapped[str] = mapped_column(server_default="")
    shipping_name: Mapped[str] = mapped_column(server_default="")
    shipping_address: Mapped[str] = mapped_column(server_default="")
    billing_address: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(index=True)
    fulfilled_at: Mapped[datetime | None]


class OrderLine(Base):
    """A line of an order; *returned* counts the units that came back to the stock."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_over_zero"),
        CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_were_sold"),
        UniqueConstraint("order_id", "product_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    product_name: Mapped[str]
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]
    vat_bp: Mapped[int]
    returned: Mapped[int] = mapped_column(server_default="0")


class SalesDay(Base):
    """What one day (UTC) brought, summed when it was over: the past stays summed."""

    __tablename__ = "sales_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    orders: Mapped[int]
    amount_cents: Mapped[int] = mapped_column(BigInteger)


RECEIVED = "received"
SOLD = "sold"
RETURNED = "returned"
ADJUSTED = "adjusted"


class StockMovement(Base):
    """A line of the append-only ledger: the sum of them is the stock."""

    __tablename__ = "stock_movement"
    __table_args__ = (
        _one_of("reason", (RECEIVED, SOLD, RETURNED, ADJUSTED)),
        CheckConstraint("quantity <> 0", name="quantity_not_zero"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    quantity: Mapped[int]
    reason: Mapped[str] = mapped_column(String(8))
    note: Mapped[str] = mapped_column(server_default="")
    who: Mapped[str] = mapped_column(server_default="")
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    created_at: Mapped[datetime]


REQUESTED = "REQUESTED"
SENT = "SENT"
DONE = "DONE"
FAILED = "FAILED"

AUTOMATIC = "AUTOMATIC"
OWNER = "OWNER"
STRIPE = "STRIPE"


def _where(condition: str) -> dict[str, Any]:
    """An index of the rows that are still of interest: few, however many there were."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


class Refund(Base):
    """
    Money on its way back to a customer.

    AUTOMATIC when a payment came although its units were gone, OWNER when the owner
    asked for it, STRIPE when it was made at Stripe. REQUESTED until Stripe has taken
    it, SENT while the bank has it, then DONE; a refund can still be FAILED days later.
    """

    __tablename__ = "refund"
    __table_args__ = (
        _one_of("status", (REQUESTED, SENT, DONE, FAILED)),
        _one_of("cause", (AUTOMATIC, OWNER, STRIPE)),
        CheckConstraint("amount_cents > 0", name="amount_over_zero"),
        Index("ix_refund_open", "created_at", **_where("status = 'REQUESTED'")),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(255), unique=True)
    checkout_id: Mapped[int] = mapped_column(ForeignKey("checkout.id"), index=True)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"), index=True)
    stripe_session_id: Mapped[str] = mapped_column(String(255), index=True)
    payment_intent: Mapped[str] = mapped_column(String(255), index=True)
    stripe_refund_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    amount_cents: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(9), server_default=REQUESTED)
    cause: Mapped[str] = mapped_column(String(9), server_default=AUTOMATIC)
    reason: Mapped[str] = mapped_column(server_default="")
    who: Mapped[str] = mapped_column(server_default="")
    customer_email: Mapped[str] = mapped_column(server_default="")
    failure: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


# Stripe's words for a dispute that has ended, which it then stays.
DISPUTE_LOST = "lost"
DISPUTE_PREVENTED = "prevented"
DISPUTE_OVER = ("won", DISPUTE_LOST, "warning_closed", DISPUTE_PREVENTED)


class Dispute(Base):
    """A customer's bank wants a payment back; the status is Stripe's word for it."""

    __tablename__ = "dispute"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    stripe_dispute_id: Mapped[str] = mapped_column(String(255), unique=True)
    payment_intent: Mapped[str] = mapped_column(String(255))
    checkout_id: Mapped[int | None] = mapped_column(
        ForeignKey("checkout.id"), index=True
    )
    amount_cents: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    reason: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str]
    due_by: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class StripeEvent(Base):
    """
    An event that was acted on: once by Stripe's id, once by what it did to its object.

    One fact may come as two events. *object_id* is the session, refund or dispute.
    """

    __tablename__ = "stripe_event"
    __table_args__ = (
        Index("uq_stripe_event_effect", "object_id", "effect", unique=True),
    )

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    type: Mapped[str]
    object_id: Mapped[str] = mapped_column(String(255))
    effect: Mapped[str] = mapped_column(String(255))
    outcome: Mapped[str]
    received_at: Mapped[datetime]


# What a person has to look at, or should know.
AMOUNT = "AMOUNT"
TOO_LATE = "TOO_LATE"
PAID_TWICE = "PAID_TWICE"
REFUND_FAILED = "REFUND_FAILED"
REFUND_WAITS = "REFUND_WAITS"
RESTOCK = "RESTOCK"
DISPUTED = "DISPUTED"
UNKNOWN_SESSION = "UNKNOWN_SESSION"
TO_DO_KINDS = (
    AMOUNT,
    TOO_LATE,
    PAID_TWICE,
    REFUND_FAILED,
    REFUND_WAITS,
    RESTOCK,
    DISPUTED,
    UNKNOWN_SESSION,
)


class ToDo(Base):
    """
    An entry for the owner, which explains itself; there until somebody ticks it off.

    *key* names the fact, so that it is entered once however often it is reported.
    *stripe_id* is the session, refund or dispute that it is about.
    """

    __tablename__ = "to_do"
    __table_args__ = (
        _one_of("kind", TO_DO_KINDS),
        Index("ix_to_do_open", "created_at", **_where("done_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    checkout_id: Mapped[int | None] = mapped_column(
        ForeignKey("checkout.id"), index=True
    )
    stripe_id: Mapped[str] = mapped_column(server_default="")
    payment_intent: Mapped[str] = mapped_column(server_default="")
    amount_cents: Mapped[int] = mapped_column(BigInteger, server_default="0")
    currency: Mapped[str] = mapped_column(String(3), server_default="eur")
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    done_by: Mapped[str] = mapped_column(server_default="")


READY = "READY"
SENDING = "SENDING"
# A mail about an order, a refund that Stripe has taken, one that failed, goods that
# were gone when nothing was to be paid, or an entry for the owner.
ORDER_MAIL = "ORDER"
REFUND_MAIL = "REFUND"
OWED_MAIL = "OWED"
GONE_MAIL = "GONE"
TO_DO_MAIL = "TO_DO"
MAIL_KINDS = (ORDER_MAIL, REFUND_MAIL, OWED_MAIL, GONE_MAIL, TO_DO_MAIL)


class Mail(Base):
    """
    A letter in the outbox, written with what it tells about and sent after that.

    *key* names the letter, so that it is written once. READY until it is about to be
    handed over, SENDING while nobody can tell whether it was, then SENT; FAILED if it
    was refused for good. It has no text: that is made of what it is about.
    """

    __tablename__ = "mail"
    __table_args__ = (
        _one_of("status", (READY, SENDING, SENT, FAILED)),
        _one_of("kind", MAIL_KINDS),
        Index("ix_mail_due", "due_at", **_where("status = 'READY'")),
        Index(
            "ix_mail_not_arrived",
            "created_at",
            **_where("status IN ('SENDING', 'FAILED')"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(6))
    checkout_id: Mapped[int | None] = mapped_column(
        ForeignKey("checkout.id"), index=True
    )
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"))
    to_do_id: Mapped[int | None] = mapped_column(ForeignKey("to_do.id"))
    recipient: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(String(8), server_default="nl")
    status: Mapped[str] = mapped_column(String(7), server_default=READY)
    tries: Mapped[int] = mapped_column(server_default="0")
    claim: Mapped[str] = mapped_column(String(64), server_default="")
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(server_default="")


class Reconciled(Base):
    """
    How far the shop has compared itself with Stripe; a single row.

    *looked_back_at* is when all that may still change was last compared; a look back
    that is under way goes on after the session *look_on_after*.
    """

    __tablename__ = "reconciled"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    until: Mapped[datetime]
    looked_back_at: Mapped[datetime]
    look_on_after: Mapped[str] = mapped_column(server_default="")
    taken_until: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Owner(Base):
    """Somebody who may open the dashboard."""

    __tablename__ = "owner"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str]
    created_at: Mapped[datetime]
