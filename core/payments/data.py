"""
What the shop asks Stripe and what it hears, as dataclasses of its own.

Money is whole cents, times are UTC; an address is JSON with Stripe's names, or empty.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from core.payments.offer import Offer

T = TypeVar("T")


@dataclass(frozen=True)
class SessionLine:
    """One line of a payment page; *unit_price_cents* includes VAT."""

    name: str
    unit_price_cents: int
    currency: str
    quantity: int


@dataclass(frozen=True)
class SessionRequest:
    """What a payment page is made of: the same request gives the same bytes."""

    checkout_id: int
    idempotency_key: str
    lines: tuple[SessionLine, ...]
    expires_at: datetime
    locale: str
    notice: str
    offer: Offer


@dataclass(frozen=True)
class Bill:
    """
    What a session adds up to, and where the goods go; filled in by the customer.

    *subtotal_cents* is what the goods cost before the discount.
    """

    subtotal_cents: int
    total_cents: int
    currency: str
    discount_cents: int = 0
    shipping_cents: int = 0
    tax_cents: int = 0
    promotion_code: str = ""
    shipping_option: str = ""
    customer_name: str = ""
    customer_email: str = ""
    customer_phone: str = ""
    shipping_name: str = ""
    shipping_address: str = ""
    billing_address: str = ""

    @property
    def adds_up(self) -> bool:
        """Whether the total is the goods less the discount with shipping (and tax)."""
        net = self.subtotal_cents - self.discount_cents + self.shipping_cents
        # Our prices include VAT; only a tax set up at Stripe comes on top.
        return self.total_cents in (net, net + self.tax_cents)


@dataclass(frozen=True)
class Payment:
    """
    A Stripe session that was paid; *payment_intent* is None when the total was 0.

    *refunded_cents* of it were refunded by hand before we heard of it.
    """

    stripe_session_id: str
    payment_intent: str | None
    bill: Bill
    refunded_cents: int = 0

    @property
    def is_refunded(self) -> bool:
        """All of it has gone back already."""
        return 0 < self.bill.total_cents <= self.refunded_cents


@dataclass(frozen=True)
class PaymentSession:
    """
    What the shop needs to know of a Stripe Checkout Session.

    *refunded_cents* is what was refunded by hand at Stripe. *checkout_key* is the key
    that we made it with. *recovered_from* is the session that Stripe copied it from.
    """

    id: str
    status: str
    payment_status: str
    url: str | None
    payment_intent: str | None
    payment_failed: bool
    bill: Bill
    refunded_cents: int
    checkout_key: str
    recovered_from: str
    created_at: datetime

    @property
    def is_closed(self) -> bool:
        """Nobody can pay it, and nobody has."""
        return self.status == "expired"

    @property
    def is_paid(self) -> bool:
        """The money is there, or none was asked for."""
        return self.status == "complete" and self.payment_status != "unpaid"

    @property
    def awaits_payment(self) -> bool:
        """A delayed payment is on its way."""
        return self.status == "complete" and self.payment_status == "unpaid"


@dataclass(frozen=True)
class RefundReport:
    """
    A refund as it is at Stripe; *key* is the idempotency key that we made it with.

    *status* is Stripe's: pending, requires_action, succeeded, failed or canceled.
    """

    id: str
    payment_intent: str
    amount_cents: int
    currency: str
    status: str
    key: str
    failure: str

    @property
    def has_failed(self) -> bool:
        """Whether the customer does not get this money."""
        return self.status in ("failed", "canceled")


@dataclass(frozen=True)
class DisputeReport:
    """A dispute as it is at Stripe; *due_by* is when evidence must be there."""

    id: str
    payment_intent: str
    amount_cents: int
    currency: str
    reason: str
    status: str
    due_by: datetime | None


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a long list; *next* is what to ask for the rest with, None at its end."""

    rows: list[T]
    next: str | None


@dataclass(frozen=True)
class Event:
    """
    A verified message of Stripe about an object: a session, refund, charge or dispute.

    *checkout_key*, *reference* and *recovered_from* tell whose session it is.
    """

    id: str
    type: str
    object_id: str
    object_type: str = "checkout.session"
    payment_intent: str = ""
    reference: str = ""
    checkout_key: str = ""
    recovered_from: str = ""
    api_version: str = ""
