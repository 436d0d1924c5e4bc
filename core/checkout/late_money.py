"""
Money for a checkout that is not PENDING any more, to its end at once.

The units are free, so they are taken again and the order stands; or they are not, and
the payment goes back exactly once. Never on a passing fault, only on a proven shortage:
holds that are overdue do not count, and an error leaves all as it was, to be told
again.
"""

import logging
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models import StockReservation
from core.orders import orders
from core.orders.orders import Confirmation
from core.payments.data import Payment
from core.records import Noted
from core.refunds import refunds, sending
from core.shop import Shop

logger = logging.getLogger(__name__)

MONEY_WITHOUT_GOODS = (Confirmation.TOO_LATE, Confirmation.PAID_TWICE)


def settle(
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
        return orders.confirm(
            session,
            checkout_id,
            payment,
            now=shop.clock(),
            event=event,
            may_retake=not payment.is_refunded,
        )

    def confirm_or_refund(session: Session) -> Confirmation:
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
        confirmation = shop.database.write(confirm_or_refund)
    if confirmation in MONEY_WITHOUT_GOODS:
        logger.error("checkout %s: %s, to be refunded", checkout_id, confirmation.name)
        sending.send_refunds(shop, of_session=payment.stripe_session_id)
    return confirmation


def _products_of(shop: Shop, checkout_id: int) -> list[int]:
    with shop.database.read() as session:
        return list(
            session.scalars(
                select(StockReservation.product_id).where(
                    StockReservation.checkout_id == checkout_id
                )
            )
        )
