"""
What Stripe reports, and customers who come back from its page.

Both ask Stripe what is true now and settle it; whoever comes second finds it done.
"""

import logging
from dataclasses import replace

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from core.errors import CheckoutNotFoundError, PaymentUnavailableError
from core.models import Checkout, Order, StripeEvent
from core.payments import Event
from core.settlement import Ending, settle
from core.shop import Shop

logger = logging.getLogger(__name__)

OF_INTEREST = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)


def record_event(shop: Shop, event: Event) -> None:
    """
    Act on a verified event, once; safe to repeat.

    Raises CheckoutNotFoundError for a session that we made but do not know, and
    PaymentUnavailableError when Stripe cannot tell: both must be sent again. An event
    of no interest, or about a session that is not ours, is passed over.
    """
    if event.type not in OF_INTEREST or not event.session_id:
        return
    with shop.database.read() as session:
        if session.get(StripeEvent, event.id) is not None:
            return
    checkout_id = _checkout_of(
        shop, event.session_id, event.checkout_key, event.reference
    )
    if checkout_id is None:
        if event.checkout_key:
            raise CheckoutNotFoundError
        logger.info("event %s is about a session that is not ours", event.id)
        return
    # The event tells that something happened; what is true now, Stripe tells.
    found = shop.gateway.retrieve(event.session_id)
    if found is None:
        raise PaymentUnavailableError("an event about a session unknown to Stripe")
    if event.type == "checkout.session.async_payment_failed":
        found = replace(found, payment_failed=True)
    ending = settle(shop, checkout_id, found, cause="closed at Stripe")
    if ending is Ending.KEPT:
        raise PaymentUnavailableError("Stripe does not show yet what it reports")
    _note_event(shop, event, outcome=ending.name)


def _note_event(shop: Shop, event: Event, *, outcome: str) -> None:
    noted = StripeEvent(
        id=event.id,
        type=event.type,
        stripe_session_id=event.session_id,
        outcome=outcome,
        received_at=shop.clock(),
    )
    try:
        shop.database.write(lambda session: session.add(noted))
    except IntegrityError:
        logger.info("event %s was delivered twice at once", event.id)


def settle_returned(shop: Shop, stripe_session_id: str) -> int | None:
    """
    Settle the session of a customer who came back; return its checkout's id.

    None if it is not ours. Raises PaymentUnavailableError when Stripe cannot tell and
    we do not know yet. The webhook may do the same at this very moment.
    """
    with shop.database.read() as session:
        known = session.scalar(
            select(Order.checkout_id).where(
                Order.stripe_session_id == stripe_session_id
            )
        )
    if known is not None:
        return known
    found = shop.gateway.retrieve(stripe_session_id)
    if found is None:
        return None
    checkout_id = _checkout_of(shop, found.id, found.checkout_key, found.reference)
    if checkout_id is not None:
        settle(shop, checkout_id, found, cause="closed at Stripe")
    return checkout_id


def _checkout_of(
    shop: Shop, stripe_session_id: str, checkout_key: str, reference: str
) -> int | None:
    """
    Find the checkout of a session: by its id, or by what we gave it when it was made.

    The number in *reference* alone could be somebody else's, so it counts only for a
    checkout that has no session yet.
    """
    with shop.database.read() as session:
        found = session.scalar(
            select(Checkout.id).where(
                or_(
                    Checkout.stripe_session_id == stripe_session_id,
                    Checkout.idempotency_key == checkout_key,
                )
            )
        )
        if found is None and not checkout_key and reference.isdecimal():
            found = session.scalar(
                select(Checkout.id).where(
                    Checkout.id == int(reference[:18]),
                    Checkout.stripe_session_id.is_(None),
                )
            )
        return found
