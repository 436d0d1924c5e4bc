"""Checkouts, the offers they were made with, and how far they were reconciled."""

from datetime import datetime

from sqlalchemy import String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Numbered, index_where, one_of

PENDING = "PENDING"
CONFIRMED = "CONFIRMED"
EXPIRED = "EXPIRED"
CANCELLED = "CANCELLED"
STATUSES = (PENDING, CONFIRMED, EXPIRED, CANCELLED)

# Who placed a hold. Only a customer's has, or may have, a payment page.
CUSTOMER = "CUSTOMER"
OWNER = "OWNER"
KINDS = (CUSTOMER, OWNER)


class StoredOffer(Numbered):
    """
    What payment pages offer by the settings; a row for each set of them there ever was.

    A checkout refers to its own, so that a retry sends the same bytes, even if the
    settings were changed meanwhile. *content* is JSON.
    """

    __tablename__ = "offer"

    content: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class Checkout(Numbered):
    """
    One attempt to buy. Its status decides for the whole cart.

    The request to Stripe is made from this row, its offer and its reservations alone,
    so that a retry sends the same bytes under the same idempotency key.

    *network* is who asked, for the limits: empty if it is not counted, and a day after
    the end. *held_since* is when the visitor's first page began, if each replaced the
    one before. *is_unpaid* if the hold ended and the customer had not paid.
    """

    __tablename__ = "checkout"
    __table_args__ = (
        one_of("status", STATUSES),
        one_of("kind", KINDS),
        # One open payment page for each visitor: a second one could be paid, too.
        index_where(
            "status = 'PENDING' AND NOT awaits_payment",
            "uq_checkout_open_visitor",
            "visitor",
            unique=True,
        ),
        index_where("status = 'PENDING'", "ix_checkout_due", "expires_at"),
        index_where(
            "status = 'PENDING' AND network <> ''", "ix_checkout_network", "network"
        ),
        index_where(
            "status = 'PENDING' AND awaits_payment", "ix_checkout_waiting", "visitor"
        ),
        # Ended ones of the last day: after it the network is forgotten.
        index_where(
            "closed_at IS NOT NULL AND network <> ''",
            "ix_checkout_ended_network",
            *("network", "closed_at"),
        ),
        index_where(
            "closed_at IS NOT NULL AND network <> ''",
            "ix_checkout_ended_visitor",
            *("visitor", "closed_at"),
        ),
    )

    kind: Mapped[str] = mapped_column(String(8), server_default=CUSTOMER)

    visitor: Mapped[str] = mapped_column(String(64))
    network: Mapped[str] = mapped_column(String(64), server_default="")
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
    held_since: Mapped[datetime | None]
    is_unpaid: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


# Cause of a checkout whose delayed payment failed.
PAYMENT_FAILED = "payment failed"


class Reconciled(Numbered):
    """
    How far the shop was compared with Stripe; a single row.

    At *until* everything was last in order. *looked_back_at* is when all that may still
    change was last compared; a look back that is under way goes on after the session
    *look_on_after*. No other process begins a pass before *taken_until*.
    """

    __tablename__ = "reconciled"

    until: Mapped[datetime]
    looked_back_at: Mapped[datetime]
    look_on_after: Mapped[str] = mapped_column(server_default="")
    taken_until: Mapped[datetime]
