"""What the limits count besides checkouts; forgotten after a day."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, one_of

# Too many holds of a visitor or a network, too large a share of a product, or too many
# holds that were not paid.
VISITOR = "VISITOR"
NETWORK = "NETWORK"
SHARE = "SHARE"
UNPAID = "UNPAID"
REASONS = (VISITOR, NETWORK, SHARE, UNPAID)


class CheckoutTry(Base):
    """How often a network tried to check out in one minute."""

    __tablename__ = "checkout_try"

    network: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    tries: Mapped[int]


class RefusedCheckout(Base):
    """How often a network was refused in one hour, for one reason."""

    __tablename__ = "refused_checkout"
    __table_args__ = (one_of("reason", REASONS),)

    network: Mapped[str] = mapped_column(String(64), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    reason: Mapped[str] = mapped_column(String(8), primary_key=True)
    times: Mapped[int]
    last_at: Mapped[datetime]
