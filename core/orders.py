"""
Orders: what is owed to customers, and money that goes back to them.

Invariant: a paid Stripe session has exactly one order, or exactly one refund if its
units were gone when the payment came. All functions are rules: they work in the
caller's transaction and never commit.
"""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from core import postgres, reservations
from core.database import Executor, is_postgresql
from core.models import (
    DONE,
    FAILED,
    PAID,
    REQUESTED,
    REVIEW,
    SOLD,
    Order,
    OrderLine,
    Refund,
    StockMovement,
    StockReservation,
    table,
)

_order = table(Order)
_order_line = table(OrderLine)
_movement = table(StockMovement)
_reservation = table(StockReservation)


@dataclass(frozen=True)
class Payment:
    """A Stripe session that was paid; *payment_intent* is None when the total was 0."""

    stripe_session_id: str
    payment_intent: str | None
    amount_cents: int
    currency: str
    customer_name: str
    customer_email: str


class Confirmation(Enum):
    """What became of a payment."""

    CONFIRMED = auto()
    CONFIRMED_LATE = auto()
    """The hold was over, but the units were still free."""
    ALREADY_CONFIRMED = auto()
    """The same payment again; nothing was changed."""
    PAID_TWICE = auto()
    """The checkout has an order of another session; nothing was changed."""
    TOO_LATE = auto()
    """The hold was over and the units are gone; nothing was changed."""
    REFUND_REQUESTED = auto()
    """The payment is on its way back to the customer; nothing was changed."""


def confirm(
    session: Session, checkout_id: int, payment: Payment, *, now: datetime
) -> Confirmation:
    """
    Sell the units of a paid checkout: one order with its lines and movements.

    An amount or currency other than promised makes the order one for REVIEW. Safe to
    repeat, also at the same instant from elsewhere. A payment whose refund was
    requested is not sold, even if units came back since.
    """
    if sell(session, checkout_id, payment, now=now):
        return Confirmation.CONFIRMED
    if not reservations.take_ended(session, checkout_id):
        return _again(session, checkout_id, payment)
    if refund_of(session, payment.stripe_session_id) is not None:
        return Confirmation.REFUND_REQUESTED
    if not reservations.confirm_late(session, checkout_id, now=now):
        return Confirmation.TOO_LATE
    _record(session, checkout_id, payment, late=True, now=now)
    return Confirmation.CONFIRMED_LATE


def sell(
    session: Executor, checkout_id: int, payment: Payment, *, now: datetime
) -> bool:
    """
    Sell the units of a PENDING checkout, as confirm does. A single statement.

    Safe to repeat: returns False and changes nothing unless the checkout was PENDING.
    """
    if is_postgresql(session):
        return bool(
            postgres.change(
                session,
                postgres.SELL,
                checkout_id=checkout_id,
                token=_new_token(),
                now=now,
                **asdict(payment),
            )
        )
    reservations.attach(session, checkout_id, payment.stripe_session_id)
    if not reservations.confirm(session, checkout_id, now=now):
        return False
    _record(session, checkout_id, payment, late=False, now=now)
    return True


def _new_token() -> str:
    return secrets.token_urlsafe(24)


def _again(session: Session, checkout_id: int, payment: Payment) -> Confirmation:
    """Tell the same payment from a second one for a checkout that has its order."""
    if refund_of(session, payment.stripe_session_id) is not None:
        return Confirmation.REFUND_REQUESTED
    other = session.scalar(
        select(Order.id).where(
            Order.checkout_id == checkout_id,
            Order.stripe_session_id != payment.stripe_session_id,
        )
    )
    return Confirmation.ALREADY_CONFIRMED if other is None else Confirmation.PAID_TWICE


def _record(
    session: Executor,
    checkout_id: int,
    payment: Payment,
    *,
    late: bool,
    now: datetime,
) -> None:
    lines = session.execute(
        select(_reservation)
        .where(_reservation.c.checkout_id == checkout_id)
        .order_by(_reservation.c.product_id)
    ).all()
    promised_cents = sum(line.quantity * line.unit_price_cents for line in lines)
    promised_currency = lines[0].currency
    as_promised = (payment.amount_cents, payment.currency) == (
        promised_cents,
        promised_currency,
    )
    order_id: int = session.execute(
        insert(_order)
        .values(
            checkout_id=checkout_id,
            stripe_session_id=payment.stripe_session_id,
            payment_intent=payment.payment_intent,
            token=_new_token(),
            status=PAID if as_promised else REVIEW,
            was_late=late,
            currency=payment.currency,
            amount_cents=payment.amount_cents,
            promised_currency=promised_currency,
            promised_cents=promised_cents,
            customer_name=payment.customer_name,
            customer_email=payment.customer_email,
            created_at=now,
        )
        .returning(_order.c.id)
    ).scalar_one()
    _record_lines(session, order_id, lines, now=now)


def _record_lines(
    session: Executor,
    order_id: int,
    lines: Sequence[Row[*tuple[Any, ...]]],
    *,
    now: datetime,
) -> None:
    """Write what was sold to the order and to the ledger."""
    session.execute(
        insert(_order_line),
        [
            {
                "order_id": order_id,
                "product_id": line.product_id,
                "product_name": line.product_name,
                "quantity": line.quantity,
                "unit_price_cents": line.unit_price_cents,
                "vat_bp": line.vat_bp,
            }
            for line in lines
        ],
    )
    session.execute(
        insert(_movement),
        [
            {
                "product_id": line.product_id,
                "quantity": -line.quantity,
                "reason": SOLD,
                "order_id": order_id,
                "created_at": now,
            }
            for line in lines
        ],
    )


def refund_of(session: Session, stripe_session_id: str) -> Refund | None:
    """Return the refund of a session's payment, if one was requested."""
    return session.scalar(
        select(Refund).where(Refund.stripe_session_id == stripe_session_id)
    )


def request_refund(
    session: Session,
    checkout_id: int,
    payment: Payment,
    *,
    now: datetime,
) -> None:
    """
    Note that the whole *payment* goes back to the customer, to be sent after commit.

    Safe to repeat: a session has one refund. A payment of nothing needs none. One that
    Stripe gives no payment intent of cannot be sent back: a person has to look at it.
    """
    if payment.amount_cents == 0 or refund_of(session, payment.stripe_session_id):
        return
    session.add(
        Refund(
            checkout_id=checkout_id,
            stripe_session_id=payment.stripe_session_id,
            payment_intent=payment.payment_intent or "",
            amount_cents=payment.amount_cents,
            currency=payment.currency,
            status=REQUESTED if payment.payment_intent else FAILED,
            created_at=now,
        )
    )
    session.flush()


def close_refund(
    session: Session,
    refund_id: int,
    *,
    stripe_refund_id: str | None,
    now: datetime,
) -> None:
    """Note that Stripe took a refund or, without its id, that it refused."""
    session.execute(
        update(Refund)
        .where(Refund.id == refund_id, Refund.status == REQUESTED)
        .values(
            status=DONE if stripe_refund_id else FAILED,
            stripe_refund_id=stripe_refund_id,
            done_at=now,
        )
    )
