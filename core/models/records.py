"""What is recorded with a change: steps, events and entries for the owner."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Cents, Numbered, index_where, one_of
from core.models.checkout import Checkout


class CheckoutStep(Numbered):
    """
    A step of a checkout or its order that no other row would keep.

    Steps that other rows still show are read from those; here is what later changes
    would overwrite, and what people did. *who* is empty for the shop itself.
    """

    __tablename__ = "checkout_step"

    checkout_id: Mapped[int] = mapped_column(ForeignKey(Checkout.id), index=True)
    what: Mapped[str]
    cause: Mapped[str] = mapped_column(server_default="")
    who: Mapped[str] = mapped_column(server_default="")
    stripe_id: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]


class StripeEvent(Base):
    """
    An event that was acted on; unique by Stripe's id and by its effect on its object.

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
    *(AMOUNT, TOO_LATE, PAID_TWICE, REFUND_FAILED),
    *(REFUND_WAITS, RESTOCK, DISPUTED, UNKNOWN_SESSION),
)


class ToDo(Numbered):
    """
    An entry for the owner, open until somebody ticks it off.

    *key* names the fact, so that it is entered once however often it is reported.
    *stripe_id* is the session, refund or dispute that it is about.
    """

    __tablename__ = "to_do"
    __table_args__ = (
        one_of("kind", TO_DO_KINDS),
        index_where("done_at IS NULL", "ix_to_do_open", "created_at"),
    )

    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    checkout_id: Mapped[int | None] = mapped_column(ForeignKey(Checkout.id), index=True)
    stripe_id: Mapped[str] = mapped_column(server_default="")
    payment_intent: Mapped[str] = mapped_column(server_default="")
    amount_cents: Mapped[Cents] = mapped_column(server_default="0")
    currency: Mapped[str] = mapped_column(String(3), server_default="eur")
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    done_by: Mapped[str] = mapped_column(server_default="")
