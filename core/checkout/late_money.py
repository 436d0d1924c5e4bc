"""
Money for a checkout that is not PENDING any more.

If the units are free they are taken again and there is an order; if not, the payment
goes back exactly once. Only a proven shortage decides that: overdue holds of others do
not count, and after an error all is as it was, to be reported again.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.orders import Order
from core.orders import orders
from core.orders.orders import NOT_NOTED
from core.payments.data import Payment
from core.records import Noted
from core.refunds import refunds, sending
from core.shop import Shop
from core.stock import holds, reservations

logger = logging.getLogger(__name__)


class Confirmation(Enum):
    """The outcome of a payment."""

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


MONEY_WITHOUT_GOODS = (Confirmation.TOO_LATE, Confirmation.PAID_TWICE)


def confirm_or_refund(
    shop: Shop,
    checkout_id: int,
    payment: Payment,
    *,
    event: Noted,
    reclaim: Callable[[list[int]], bool],
) -> None:
    """
    Confirm an ended checkout after all, or send its payment back.

    *reclaim* ends overdue holds of these products and tells whether there were any. It
    raises PaymentUnavailableError if Stripe cannot tell; then nothing is decided. A
    payment that was refunded by hand buys nothing and is only recorded. Safe to repeat
    and to race: the session's refund has one key.
    """

    def confirm(session: Session, *, or_refund: bool = False) -> Confirmation:
        now, may_retake = shop.clock(), not payment.is_refunded
        confirmation = confirm_or_retake(
            session, checkout_id, payment, now=now, event=event, may_retake=may_retake
        )
        if or_refund and confirmation in MONEY_WITHOUT_GOODS:
            kind = confirmation.name
            refunds.request_automatic(session, checkout_id, payment, kind=kind, now=now)
        return confirmation

    confirmation = shop.database.write(confirm)
    while confirmation is Confirmation.TOO_LATE and not payment.is_refunded:
        with shop.database.read() as session:
            products = list(holds.units_of(session, checkout_id))
        if not reclaim(products):
            break
        confirmation = shop.database.write(confirm)
    if confirmation in MONEY_WITHOUT_GOODS:
        confirmation = shop.database.write(partial(confirm, or_refund=True))
    if confirmation in MONEY_WITHOUT_GOODS:
        logger.error("checkout %s: %s, to be refunded", checkout_id, confirmation.name)
        sending.send_refunds(shop, of_session=payment.stripe_session_id)


def confirm_or_retake(
    session: Session,
    checkout_id: int,
    payment: Payment,
    *,
    now: datetime,
    event: Noted = NOT_NOTED,
    may_retake: bool = True,
) -> Confirmation:
    """
    Confirm a paid checkout, also one that has ended; a rule.

    Safe to repeat and to race. Buys nothing once its refund was requested, even if
    units came back since, and nothing for an ended hold unless it *may_retake*.
    """
    sell = partial(orders.confirm, session, checkout_id, payment, now=now, event=event)
    if sell():
        return Confirmation.CONFIRMED
    has_ended = reservations.take_ended(session, checkout_id)
    if refunds.was_sent_back(session, payment.stripe_session_id):
        return Confirmation.REFUND_REQUESTED
    if not has_ended:
        is_other = Order.stripe_session_id != payment.stripe_session_id
        other = select(Order.id).where(Order.checkout_id == checkout_id, is_other)
        is_same = session.scalar(other) is None
        return Confirmation.ALREADY_CONFIRMED if is_same else Confirmation.PAID_TWICE
    if not may_retake or not reservations.retake(session, checkout_id, now=now):
        return Confirmation.TOO_LATE
    if not sell(is_late=True):
        raise AssertionError("what was taken again is not PENDING")
    return Confirmation.CONFIRMED_LATE
