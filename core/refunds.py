"""Money on its way back: requested with what was decided, sent after that commit."""

import logging
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from core import orders
from core.errors import PaymentError, PaymentUnavailableError
from core.models import REQUESTED, Refund
from core.shop import Shop

logger = logging.getLogger(__name__)

BATCH = 100
CALLS_AT_ONCE = 8


def send_refunds(shop: Shop, *, of_session: str | None = None) -> int:
    """
    Send requested refunds to Stripe, or only that of one session; return how many went.

    Safe to repeat: the key is the session's, so a payment goes back once however often
    it is tried.
    """
    query = select(Refund).where(Refund.status == REQUESTED).order_by(Refund.created_at)
    if of_session is not None:
        query = query.where(Refund.stripe_session_id == of_session)
    with shop.database.read() as session:
        requested = session.scalars(query.limit(BATCH)).all()
    if not requested:
        return 0
    with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(requested))) as callers:
        return sum(callers.map(lambda refund: _send(shop, refund), requested))


def _send(shop: Shop, refund: Refund) -> bool:
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
