"""Refunds and disputes."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Cents, Numbered, index_where, one_of
from core.models.checkout import Checkout
from core.models.orders import Order

REQUESTED = "REQUESTED"
SENT = "SENT"
DONE = "DONE"
FAILED = "FAILED"
AUTOMATIC = "AUTOMATIC"
OWNER = "OWNER"
STRIPE = "STRIPE"


class Refund(Numbered):
    """
    Money on its way back to a customer.

    AUTOMATIC if a payment came although its units were gone, OWNER if the owner asked
    for it, STRIPE if it was made at Stripe. REQUESTED until Stripe has taken it, SENT
    while the bank has it, then DONE; it can still become FAILED days later.
    """

    __tablename__ = "refund"
    __table_args__ = (
        one_of("status", (REQUESTED, SENT, DONE, FAILED)),
        one_of("cause", (AUTOMATIC, OWNER, STRIPE)),
        CheckConstraint("amount_cents > 0", name="amount_over_zero"),
        index_where("status = 'REQUESTED'", "ix_refund_open", "created_at"),
    )

    idempotency_key: Mapped[str] = mapped_column(String(255), unique=True)
    checkout_id: Mapped[int] = mapped_column(ForeignKey(Checkout.id), index=True)
    order_id: Mapped[int | None] = mapped_column(ForeignKey(Order.id), index=True)
    stripe_session_id: Mapped[str] = mapped_column(String(255), index=True)
    payment_intent: Mapped[str] = mapped_column(String(255), index=True)
    stripe_refund_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    amount_cents: Mapped[Cents]
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


# Stripe's words for a dispute that has ended; they are final.
DISPUTE_LOST = "lost"
DISPUTE_PREVENTED = "prevented"
DISPUTE_OVER = ("won", DISPUTE_LOST, "warning_closed", DISPUTE_PREVENTED)


class Dispute(Numbered):
    """A customer's bank wants a payment back; the status is Stripe's word for it."""

    __tablename__ = "dispute"

    stripe_dispute_id: Mapped[str] = mapped_column(String(255), unique=True)
    payment_intent: Mapped[str] = mapped_column(String(255))
    checkout_id: Mapped[int | None] = mapped_column(ForeignKey(Checkout.id), index=True)
    amount_cents: Mapped[Cents]
    currency: Mapped[str] = mapped_column(String(3))
    reason: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str]
    due_by: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
