"""
Money for a checkout that is not PENDING any more, to its end at once.

The units are free, so they are taken again and the order stands; or they are not, and
the payment goes back exactly once. Never on a passing fault, only on a proven shortage:
holds that are overdue do not count, and an error leaves all as it was, to be told
again.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.orders import Order
from core.models.stock import StockReservation
from core.orders import orders
from core.orders.orders import NOT_NOTED
from core.payments.data import Payment
from core.records import Noted
from core.refunds import refunds, sending
from core.shop import Shop
from core.stock import reservations

logger = logging.getLogger(__name__)


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


MONEY_WITHOUT_GOODS = (Confirmation.TOO_LATE, Confirmation.PAID_TWICE)


def confirm_or_refund(
    shop: Shop,
    checkout_id: int,
    payment: Payment,
    *,
    event: Noted,
    reclaim: Callable[[list[int]], bool],
) -> Confirmation:
    """
    Sell the units of an ended checkout after all, or send its payment back.

    *reclaim* ends overdue holds of these products and tells whether there were any; it
    raises PaymentUnavailableError if Stripe cannot tell, and then nothing is decided.
    What is refunded by hand already buys nothing; it is only noted. Safe to repeat and
    to race: the session's refund has one key.
    """

    def confirm(session: Session) -> Confirmation:
        return confirm_or_retake(
            session,
            checkout_id,
            payment,
            now=shop.clock(),
            event=event,
            may_retake=not payment.is_refunded,
        )

    def confirm_or_request(session: Session) -> Confirmation:
        confirmation = confirm(session)
        if confirmation in MONEY_WITHOUT_GOODS:
            refunds.request_automatic(
                session,
                checkout_id,
                payment,
                kind=confirmation.name,
                now=shop.clock(),
            )
        return confirmation

    confirmation = shop.database.write(confirm)
    while confirmation is Confirmation.TOO_LATE and not payment.is_refunded:
        if not reclaim(_products_of(shop, checkout_id)):
            break
        confirmation = shop.database.write(confirm)
    if confirmation in MONEY_WITHOUT_GOODS:
        confirmation = shop.database.write(confirm_or_request)
    if confirmation in MONEY_WITHOUT_GOODS:
        logger.error("checkout %s: %s, to be refunded", checkout_id, confirmation.name)
        sending.send_refunds(shop, of_session=payment.stripe_session_id)
    return confirmation


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
    Sell the units of a paid checkout: one order with its lines and movements.

    Goods that cost other than promised, or a total that does not add up, make the order
    one for REVIEW. Safe to repeat, also at the same instant from elsewhere. A payment
    whose refund was requested is not sold, even if units came back since; nor, unless
    it *may_retake*, one whose hold was over.
    """
    if orders.confirm(session, checkout_id, payment, now=now, event=event):
        return Confirmation.CONFIRMED
    if not reservations.take_ended(session, checkout_id):
        return _confirmed_before(session, checkout_id, payment)
    if refunds.was_sent_back(session, payment.stripe_session_id):
        return Confirmation.REFUND_REQUESTED
    if not may_retake or not reservations.retake(session, checkout_id, now=now):
        return Confirmation.TOO_LATE
    if not orders.confirm(
        session, checkout_id, payment, now=now, event=event, is_late=True
    ):
        raise AssertionError("what was taken again is not PENDING")
    return Confirmation.CONFIRMED_LATE


def _confirmed_before(
    session: Session, checkout_id: int, payment: Payment
) -> Confirmation:
    """Tell the same payment from a second one for a checkout that has its order."""
    if refunds.was_sent_back(session, payment.stripe_session_id):
        return Confirmation.REFUND_REQUESTED
    other = session.scalar(
        select(Order.id).where(
            Order.checkout_id == checkout_id,
            Order.stripe_session_id != payment.stripe_session_id,
        )
    )
    return Confirmation.ALREADY_CONFIRMED if other is None else Confirmation.PAID_TWICE


def _products_of(shop: Shop, checkout_id: int) -> list[int]:
    with shop.database.read() as session:
        return list(
            session.scalars(
                select(StockReservation.product_id).where(
                    StockReservation.checkout_id == checkout_id
                )
            )
        )
