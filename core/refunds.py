"""Money on its way back: requested with what was decided, sent after that commit."""

import logging

from sqlalchemy import select

from core import orders
from core.errors import PaymentError, PaymentUnavailableError
from core.models import REQUESTED, Refund
from core.shop import Shop

logger = logging.getLogger(__name__)


def send_refunds(shop: Shop) -> int:
    """
    Send every requested refund to Stripe; return how many it took. Safe to repeat.

    The key is the session's, so a payment goes back once however often it is tried.
    """
    with shop.database.read() as session:
        requested = session.scalars(
            select(Refund).where(Refund.status == REQUESTED).order_by(Refund.created_at)
        ).all()
    return sum(_send_refund(shop, refund) for refund in requested)


def _send_refund(shop: Shop, refund: Refund) -> bool:
    try:
        stripe_refund_id: str | None = shop.gateway.refund(
            refund.payment_intent,
            refund.amount_cents,
            key=f"refund-{refund.stripe_session_id}",
        )
    except PaymentUnavailableError as error:
        logger.warning("refund %s is tried again: %s", refund.id, error)
        return False
    except PaymentError as error:
        logger.error("Stripe refused refund %s: %s", refund.id, error)
        stripe_refund_id = None
    shop.database.write(
        lambda session: orders.close_refund(
            session, refund.id, stripe_refund_id=stripe_refund_id, now=shop.clock()
        )
    )
    return stripe_refund_id is not None
