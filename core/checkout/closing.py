"""
Closing a checkout's session at Stripe, also one whose id was lost.

All that a request is made of was committed with the reservation. So the same request
can be sent again, under the same key, and finds the session that it made.
"""

import random
from dataclasses import replace
from datetime import timedelta
from enum import Enum, auto

from core import offers
from core.database.rows import change
from core.errors import PaymentError, PaymentUnavailableError
from core.models.checkout import OWNER, PENDING, Checkout
from core.payments.data import PaymentSession, SessionLine, SessionRequest
from core.payments.offer import Offer
from core.payments.retry import ONCE_MORE
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed, Reserved, Terms

# Nothing can be paid this long after Stripe's own expires_at: its clock may differ.
CLOCK_MARGIN = timedelta(minutes=5)


class Ending(Enum):
    """What became of a checkout that was to end."""

    CLOSED = auto()
    """The units are back."""
    PAID = auto()
    """Stripe was paid: it was confirmed, or what came too late is refunded."""
    AWAITS_PAYMENT = auto()
    """A delayed payment is on its way; the hold was prolonged."""
    KEPT = auto()
    """Stripe did not say that the session is closed; the hold stays."""
    ENDED_BEFORE = auto()
    """It was not PENDING any more; nothing was changed."""


STILL_HELD = (Ending.KEPT, Ending.AWAITS_PAYMENT)


def close(
    shop: Shop, checkout_id: int, closed: Closed
) -> PaymentSession | Closed | Ending:
    """
    Close a checkout's session at Stripe, so that nobody can pay it any more.

    Returns the session as it is then, as it may have been paid first; *closed* if
    Stripe never made one, as for a hold of the owner's; an Ending if there is nothing
    to decide. Raises PaymentUnavailableError when Stripe cannot tell. Safe to repeat.
    """
    with shop.database.read() as session:
        checkout = session.get(Checkout, checkout_id)
    if checkout is None or checkout.status != PENDING:
        return Ending.ENDED_BEFORE
    if checkout.kind == OWNER:
        return closed
    # Stripe itself has closed every session of the checkout by then.
    closes_at = checkout.stripe_expires_at
    if checkout.awaits_payment:
        # The customer has paid, and the bank may take until then.
        closes_at = checkout.created_at + shop.config.delayed_payment_for
    is_over = shop.clock() > closes_at + CLOCK_MARGIN
    stripe_session_id = checkout.stripe_session_id
    if stripe_session_id is None:
        made = _session_made(shop, checkout, is_over=is_over)
        if made is None:
            return closed
        stripe_session_id = made.id
    ended = shop.gateway.expire(stripe_session_id)
    if ended is not None:
        return ended
    if is_over:
        return replace(closed, cause="unknown at Stripe")
    # Another shop on this database may have another Stripe, as two demos have: it may
    # try soon. The pause is random, so that they do not wait in step.
    pause = timedelta(seconds=random.uniform(1, 8))  # noqa: S311 (no secret)
    pending = (Checkout.id == checkout_id) & (Checkout.status == PENDING)
    retry_at = shop.clock() + pause
    shop.database.write(lambda s: change(s, Checkout, pending, retry_at=retry_at))
    return Ending.KEPT


def _session_made(
    shop: Shop, checkout: Checkout, *, is_over: bool
) -> PaymentSession | None:
    """
    Find the session of a checkout whose create was never answered.

    The same request under the same key returns the session that it made before. A
    refusal proves nothing, as an API key that was changed since is refused first; nor
    does a stored 500. But both end that request: what it made is in the list by then.
    Raises PaymentUnavailableError while a create may still be under way, unless
    *is_over*: then its page could not be paid any more.
    """
    unclear = None
    try:
        return shop.gateway.create(session_request(shop, checkout), retries=ONCE_MORE)
    except PaymentUnavailableError as error:
        if not error.is_concluded and not is_over:
            unclear = error
    except PaymentError:
        pass
    since = checkout.created_at - CLOCK_MARGIN
    found = shop.gateway.find(checkout.idempotency_key, since=since)
    if found is None and unclear is not None:
        raise unclear
    return found


def request_for(terms: Terms, reserved: Reserved, offer: Offer) -> SessionRequest:
    """Build what Stripe is asked for from what was committed, and from nothing else."""
    return SessionRequest(
        checkout_id=reserved.checkout_id,
        idempotency_key=terms.idempotency_key,
        lines=tuple(
            SessionLine(line.name, line.unit_price_cents, line.currency, line.quantity)
            for line in reserved.lines
        ),
        expires_at=terms.stripe_expires_at,
        locale=terms.locale,
        notice=terms.notice,
        offer=offer,
    )


def session_request(shop: Shop, checkout: Checkout) -> SessionRequest:
    """Build it again: the same request, byte for byte, whatever the settings are."""
    with shop.database.read() as session:
        offer = offers.offer_of(session, checkout.offer_id) or shop.config.offer
        return request_for(*reservations.reserved(session, checkout.id), offer)
