"""Orders, their lines, and what each day brought."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Cents, Numbered, index_where, one_of
from core.models.catalogue import Product
from core.models.checkout import Checkout

PAID = "PAID"
REVIEW = "REVIEW"
FULFILLED = "FULFILLED"
REFUNDED = "REFUNDED"


class Order(Numbered):
    """
    A sale: what is owed to the customer. Written once, at confirm.

    Amounts, addresses and codes are Stripe's; *promised_cents* is what the checkout
    promised for the goods. *refunded_cents* went back or is on its way. *was_late* if
    the hold was over, but the units were still free. An address is JSON with Stripe's
    names, or empty.
    """

    __tablename__ = "orders"
    __table_args__ = (
        one_of("status", (PAID, REVIEW, FULFILLED, REFUNDED)),
        CheckConstraint(
            "refunded_cents BETWEEN 0 AND amount_cents", name="refunded_within_amount"
        ),
        index_where("status = 'REVIEW'", "ix_orders_to_review", "created_at"),
    )

    checkout_id: Mapped[int] = mapped_column(ForeignKey(Checkout.id), unique=True)
    stripe_session_id: Mapped[str] = mapped_column(String(255), unique=True)
    payment_intent: Mapped[str | None] = mapped_column(String(255), index=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    status: Mapped[str] = mapped_column(String(9), server_default=PAID)
    was_late: Mapped[bool] = mapped_column(server_default=text("false"))
    currency: Mapped[str] = mapped_column(String(3))
    amount_cents: Mapped[Cents]
    promised_currency: Mapped[str] = mapped_column(String(3))
    promised_cents: Mapped[Cents]
    discount_cents: Mapped[Cents] = mapped_column(server_default="0")
    shipping_cents: Mapped[Cents] = mapped_column(server_default="0")
    tax_cents: Mapped[Cents] = mapped_column(server_default="0")
    refunded_cents: Mapped[Cents] = mapped_column(server_default="0")
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


class OrderLine(Numbered):
    """A line of an order; *returned* units came back to the stock."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_over_zero"),
        CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_were_sold"),
        UniqueConstraint("order_id", "product_id"),
    )

    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id))
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id))
    product_name: Mapped[str]
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]
    vat_bp: Mapped[int]
    returned: Mapped[int] = mapped_column(server_default="0")


class SalesDay(Base):
    """What one day (UTC) brought, summed once when it was over."""

    __tablename__ = "sales_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    orders: Mapped[int]
    amount_cents: Mapped[Cents]
