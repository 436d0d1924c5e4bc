"""
Stripe's events, and customers who come back from its page.

An event only tells that something happened. Stripe is asked what is true now, and one
function settles that. Webhook, return page and reconcile may call it at the same time:
the second finds it done.
"""

import logging
from dataclasses import replace

from sqlalchemy import select

from core import records
from core.checkout.closing import Ending
from core.checkout.settlement import settle
from core.errors import CheckoutNotFoundError, PaymentUnavailableError
from core.models.checkout import Checkout
from core.models.orders import Order
from core.models.records import StripeEvent
from core.payments.data import Event, PaymentSession
from core.payments.gateway import API_VERSION
from core.records import Noted
from core.refunds import sending
from core.shop import Shop

logger = logging.getLogger(__name__)

ABOUT_SESSIONS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)
# A refund names its payment, and so does the charge behind it.
ABOUT_REFUNDS = (
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.refund.updated",
)
ABOUT_DISPUTES = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
OF_INTEREST = (*ABOUT_SESSIONS, *ABOUT_REFUNDS, *ABOUT_DISPUTES)


def record_event(shop: Shop, event: Event) -> None:
    """
    Act on a verified event: once by its id, and once by what it did to its object.

    Safe to repeat and to race. Raises CheckoutNotFoundError for a session that we made
    but do not know, and PaymentUnavailableError when Stripe cannot tell: both must be
    sent again. An event of no interest, or not about ours, is ignored.
    """
    if event.type not in OF_INTEREST or not event.object_id:
        return
    if event.api_version and event.api_version != API_VERSION:
        text = "the webhook endpoint sends version %s, this program was made for %s"
        logger.error(text, event.api_version, API_VERSION)
    noted = _noted(event)
    if _is_noted(shop, noted):
        return
    outcome = _act(shop, event, noted)
    # A sale records its event in its own transaction.
    if outcome and not _is_noted(shop, noted):
        note = records.note_event
        shop.database.write(lambda s: note(s, noted, outcome=outcome, now=shop.clock()))


def _is_noted(shop: Shop, noted: Noted) -> bool:
    is_effect = StripeEvent.effect == noted.effect
    is_twin = (StripeEvent.object_id == noted.object_id) & is_effect
    query = select(StripeEvent.id).where((StripeEvent.id == noted.id) | is_twin)
    with shop.database.read() as session:
        return session.scalar(query) is not None


def _noted(event: Event) -> Noted:
    """
    Name what an event did, as there may be two events about one fact.

    A session completes once and expires once. Refunds and disputes change several
    times, and looking at them again does no harm.
    """
    effect = event.type if event.type in ABOUT_SESSIONS else event.id
    # We know a charge by its payment.
    payment = event.payment_intent if event.object_type == "charge" else ""
    return Noted(event.id, event.type, payment or event.object_id, effect)


def _act(shop: Shop, event: Event, noted: Noted) -> str:
    """Act on an event; return the outcome, "" if it was not for us."""
    if event.type in ABOUT_REFUNDS:
        if event.payment_intent:
            sending.look_at_refunds(shop, event.payment_intent)
        return "LOOKED_AT"
    if event.type in ABOUT_DISPUTES:
        sending.look_at_dispute(shop, event.object_id)
        return "LOOKED_AT"
    return _act_on_session(shop, event, noted)


def _act_on_session(shop: Shop, event: Event, noted: Noted) -> str:
    checkout_id = _checkout_of(shop, event.object_id, event.checkout_key)
    if checkout_id is None and event.checkout_key:
        raise CheckoutNotFoundError
    found = None
    # Any program may use this reference; Stripe can tell whether the session is ours.
    is_asked_after = event.reference.isdecimal() or event.recovered_from
    if checkout_id is not None or is_asked_after:
        found = shop.gateway.retrieve(event.object_id)
    if checkout_id is None and found is not None:
        checkout_id = _checkout_of_session(shop, found)
    if checkout_id is None:
        logger.info("event %s is about a session that is not ours", event.id)
        return ""
    if found is None:
        raise PaymentUnavailableError("an event about a session unknown to Stripe")
    if event.type == "checkout.session.async_payment_failed":
        found = replace(found, payment_failed=True)
    ending = settle(shop, checkout_id, found, event=noted)
    if ending is Ending.KEPT:
        raise PaymentUnavailableError("Stripe does not show yet what it reports")
    return ending.name


def settle_returned(shop: Shop, stripe_session_id: str) -> int | None:
    """
    Settle the session of a customer who came back; return its checkout's id.

    None if it is not ours. Raises PaymentUnavailableError when Stripe cannot tell and
    we do not know yet. The webhook may do the same at the same time.
    """
    sold = select(Order.checkout_id).where(Order.stripe_session_id == stripe_session_id)
    with shop.database.read() as session:
        known = session.scalar(sold)
    if known is not None:
        return known
    found = shop.gateway.retrieve(stripe_session_id)
    if found is None:
        return None
    checkout_id = _checkout_of_session(shop, found)
    if checkout_id is not None:
        settle(shop, checkout_id, found)
    return checkout_id


def _checkout_of_session(shop: Shop, found: PaymentSession) -> int | None:
    """Find the checkout of a session, or of the one that it is Stripe's copy of."""
    return _checkout_of(shop, found.id, found.checkout_key) or (
        _checkout_of(shop, found.recovered_from, "") if found.recovered_from else None
    )


def _checkout_of(shop: Shop, stripe_session_id: str, checkout_key: str) -> int | None:
    """
    Find the checkout of a session: by its id, or by the key that we gave it.

    None if it is not ours: another program in the same Stripe account may give its
    sessions the numbers of our checkouts.
    """
    is_its = Checkout.stripe_session_id == stripe_session_id
    is_its |= Checkout.idempotency_key == checkout_key
    with shop.database.read() as session:
        return session.scalar(select(Checkout.id).where(is_its))
