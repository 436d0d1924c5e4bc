"""Reservations, and the ledger of stock movements."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Numbered, index_where, one_of
from core.models.catalogue import Product
from core.models.checkout import PENDING, STATUSES, Checkout
from core.models.orders import Order


class StockReservation(Numbered):
    """A customer's claim on units of one product, with the price that was promised."""

    __tablename__ = "stock_reservation"
    __table_args__ = (
        one_of("status", STATUSES),
        CheckConstraint("quantity > 0", name="quantity_over_zero"),
        UniqueConstraint("checkout_id", "product_id"),
        # By time: one that began with the product would be written at random.
        index_where(
            "status = 'PENDING'", "ix_stock_reservation_due", "expires_at", "product_id"
        ),
    )

    checkout_id: Mapped[int] = mapped_column(ForeignKey(Checkout.id))
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id))
    stripe_session_id: Mapped[str | None] = mapped_column(String(255))
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    vat_bp: Mapped[int]
    product_name: Mapped[str]
    expires_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(9), server_default=PENDING)


RECEIVED = "received"
SOLD = "sold"
RETURNED = "returned"
ADJUSTED = "adjusted"


class StockMovement(Numbered):
    """A line of the append-only ledger: the sum of them is the stock."""

    __tablename__ = "stock_movement"
    __table_args__ = (
        one_of("reason", (RECEIVED, SOLD, RETURNED, ADJUSTED)),
        CheckConstraint("quantity <> 0", name="quantity_not_zero"),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id), index=True)
    quantity: Mapped[int]
    reason: Mapped[str] = mapped_column(String(8))
    note: Mapped[str] = mapped_column(server_default="")
    who: Mapped[str] = mapped_column(server_default="")
    order_id: Mapped[int | None] = mapped_column(ForeignKey(Order.id))
    created_at: Mapped[datetime]
