"""The outbox."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Numbered, index_where, one_of
from core.models.checkout import Checkout
from core.models.records import ToDo
from core.models.refunds import FAILED, SENT, Refund

READY = "READY"
SENDING = "SENDING"

# About an order, a refund that Stripe has taken, a refund that failed, goods that were
# gone when nothing had to be paid, or an entry for the owner.
ORDER_MAIL = "ORDER"
REFUND_MAIL = "REFUND"
OWED_MAIL = "OWED"
GONE_MAIL = "GONE"
TO_DO_MAIL = "TO_DO"
MAIL_KINDS = (ORDER_MAIL, REFUND_MAIL, OWED_MAIL, GONE_MAIL, TO_DO_MAIL)


class Mail(Numbered):
    """
    A letter in the outbox, written in the transaction that it is about and sent later.

    *key* names the letter, so that it is written once. READY until its final dot is to
    be sent, SENDING while it may have been taken, then SENT; FAILED if it was refused
    for good. Its text is made from what it is about when it is sent.
    """

    __tablename__ = "mail"
    __table_args__ = (
        one_of("status", (READY, SENDING, SENT, FAILED)),
        one_of("kind", MAIL_KINDS),
        index_where("status = 'READY'", "ix_mail_due", "due_at"),
        index_where(
            "status IN ('SENDING', 'FAILED')", "ix_mail_not_arrived", "created_at"
        ),
    )

    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(6))
    checkout_id: Mapped[int | None] = mapped_column(ForeignKey(Checkout.id), index=True)
    refund_id: Mapped[int | None] = mapped_column(ForeignKey(Refund.id))
    to_do_id: Mapped[int | None] = mapped_column(ForeignKey(ToDo.id))
    recipient: Mapped[str] = mapped_column(server_default="")
    locale: Mapped[str] = mapped_column(String(8), server_default="nl")
    status: Mapped[str] = mapped_column(String(7), server_default=READY)
    tries: Mapped[int] = mapped_column(server_default="0")
    claim: Mapped[str] = mapped_column(String(64), server_default="")
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(server_default="")
