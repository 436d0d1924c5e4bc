"""
How a checkout ends: Stripe is asked, and what it says is carried out.

Invariant: while a Stripe session can be paid, its units stay reserved. Units are given
back only after Stripe has said that the session is closed; if it says that it was paid,
the order is made instead; if it says nothing, the hold stays and is tried again.

Webhook, return page, sweep and cancel all end in settle(): whoever comes first does the
work, the others find it done. A workflow opens its own transactions and never holds one
across a call to Stripe.
"""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import orders, reservations
from core.errors import (
    CheckoutNotFoundError,
    PaymentError,
    PaymentUnavailableError,
    ShopError,
)
from core.models import (
    CANCELLED,
    EXPIRED,
    PENDING,
    REQUESTED,
    Checkout,
    Order,
    Refund,
    StockReservation,
    StripeEvent,
)
from core.orders import Confirmation, Payment
from core.payments import Event, PaymentSession, SessionLine, SessionRequest
from core.shop import Shop

logger = logging.getLogger(__name__)

EVENTS_OF_INTEREST = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)
# Stripe takes 25 requests a second at one endpoint.
CALLS_AT_ONCE = 8
SWEEP_BATCH = 200
# A shopper who meets a shortage waits for no more overdue checkouts at a time.
RECLAIM_BATCH = 8
# A checkout that could not be ended, or whose sweeper was killed, is tried again then.
RETRY_PAUSE = timedelta(seconds=30)
# A delayed payment takes days; its session is looked at again every so often.
PROLONG_BY = timedelta(days=1)
# After Stripe's own expires_at and this much for its clock nothing can be paid.
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


@dataclass(frozen=True)
class Sweep:
    """What a pass over the due checkouts did; counts of checkouts."""

    expired: int
    confirmed: int
    kept: int


def settle(
    shop: Shop,
    checkout_id: int,
    session: PaymentSession,
    *,
    status: str = EXPIRED,
    cause: str = "hold over",
) -> Ending:
    """
    Carry out what Stripe says of a checkout's *session*; safe to repeat and to race.

    *status* and *cause* are what a closed session's checkout ends as.
    """
    if session.is_paid:
        return _sell(shop, checkout_id, session)
    if session.awaits_payment and not session.payment_failed:
        return _prolong(shop, checkout_id, session)
    if not session.is_closed and not session.awaits_payment:
        return Ending.KEPT
    if session.awaits_payment:
        status, cause = EXPIRED, "payment failed"
    return _close(shop, checkout_id, status, cause)


def end(shop: Shop, checkout_id: int, *, status: str, cause: str) -> Ending:
    """
    End a checkout on this side only after its session is closed at Stripe.

    Raises PaymentUnavailableError when Stripe cannot tell; then the hold stays. Safe to
    repeat.
    """
    with shop.database.read() as session:
        checkout = session.get(Checkout, checkout_id)
    if checkout is None or checkout.status != PENDING:
        return Ending.ENDED_BEFORE
    stripe_session_id = checkout.stripe_session_id
    if stripe_session_id is None:
        made, is_certain = _session_made(shop, checkout)
        if made is None and is_certain:
            return _close(shop, checkout_id, status, cause)
        stripe_session_id = made.id if made else None
    ended = shop.gateway.expire(stripe_session_id) if stripe_session_id else None
    if ended is not None:
        return settle(shop, checkout_id, ended, status=status, cause=cause)
    if shop.clock() > checkout.stripe_expires_at + CLOCK_MARGIN:
        return _close(shop, checkout_id, status, "unknown at Stripe")
    return Ending.KEPT


def _session_made(shop: Shop, checkout: Checkout) -> tuple[PaymentSession | None, bool]:
    """
    Find the session whose create was never answered, and tell if that is certain.

    The same request under the same key gives the session that it made before. (If it
    made none and Stripe makes one now, nobody has its address.) A refusal proves that
    there is none, a stored 500 proves nothing: then the list is searched.
    """
    try:
        return shop.gateway.create(session_request(shop, checkout.id)), True
    except PaymentUnavailableError:
        found = shop.gateway.find(
            checkout.idempotency_key, since=checkout.created_at - CLOCK_MARGIN
        )
        return found, False
    except PaymentError:
        return None, True


def session_request(shop: Shop, checkout_id: int) -> SessionRequest:
    """Build what Stripe is asked for from what was committed, and from nothing else."""
    with shop.database.read() as session:
        checkout = session.get_one(Checkout, checkout_id)
        lines = session.scalars(
            select(StockReservation)
            .where(StockReservation.checkout_id == checkout_id)
            .order_by(StockReservation.product_id)
        ).all()
    return SessionRequest(
        checkout_id=checkout_id,
        idempotency_key=checkout.idempotency_key,
        lines=tuple(
            SessionLine(
                line.product_name, line.unit_price_cents, line.currency, line.quantity
            )
            for line in lines
        ),
        expires_at=checkout.stripe_expires_at,
        locale=checkout.locale,
        notice=checkout.notice,
        shop_url=shop.config.shop_url,
    )


def _close(shop: Shop, checkout_id: int, status: str, cause: str) -> Ending:
    give_back = reservations.cancel if status == CANCELLED else reservations.expire
    closed = shop.database.write(
        lambda session: give_back(session, checkout_id, cause=cause, now=shop.clock())
    )
    return Ending.CLOSED if closed else Ending.ENDED_BEFORE


def _prolong(shop: Shop, checkout_id: int, paid: PaymentSession) -> Ending:
    def work(session: Session) -> bool:
        reservations.attach(session, checkout_id, paid.id)
        return reservations.prolong(session, checkout_id, shop.clock() + PROLONG_BY)

    prolonged = shop.database.write(work)
    return Ending.AWAITS_PAYMENT if prolonged else Ending.ENDED_BEFORE


def _sell(shop: Shop, checkout_id: int, paid: PaymentSession) -> Ending:
    payment = Payment(
        stripe_session_id=paid.id,
        payment_intent=paid.payment_intent,
        amount_cents=paid.amount_cents,
        currency=paid.currency,
        customer_name=paid.customer_name,
        customer_email=paid.customer_email,
    )

    def sell(session: Session) -> Confirmation:
        reservations.attach(session, checkout_id, paid.id)
        return orders.confirm(session, checkout_id, payment, now=shop.clock())

    def sell_or_refund(session: Session) -> Confirmation:
        confirmation = sell(session)
        if confirmation is Confirmation.TOO_LATE:
            orders.request_refund(
                session,
                checkout_id,
                payment,
                reason="paid after the hold was over; the units were gone",
                now=shop.clock(),
            )
        return confirmation

    confirmation = shop.database.write(sell)
    if confirmation is Confirmation.TOO_LATE:
        # Only a proven shortage ends in a refund: overdue holds do not count.
        reclaim(shop, _products_of(shop, checkout_id))
        confirmation = shop.database.write(sell_or_refund)
    if confirmation is Confirmation.TOO_LATE:
        logger.error("checkout %s: paid too late, units gone, refunded", checkout_id)
        send_refunds(shop)
    return Ending.PAID


def _products_of(shop: Shop, checkout_id: int) -> list[int]:
    with shop.database.read() as session:
        return list(
            session.scalars(
                select(StockReservation.product_id).where(
                    StockReservation.checkout_id == checkout_id
                )
            )
        )


def record_event(shop: Shop, event: Event) -> None:
    """
    Act on a verified event, once; safe to repeat.

    Raises CheckoutNotFoundError for a session that we made but do not know, and
    PaymentUnavailableError when Stripe cannot tell: both must be sent again. An event
    of no interest, or about a session that is not ours, is passed over.
    """
    if event.type not in EVENTS_OF_INTEREST or not event.session_id:
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


def expire_due(shop: Shop, *, everything: bool = False) -> Sweep:
    """
    End every checkout whose hold is over; safe to run anywhere at once.

    Each is taken for half a minute, so that several sweepers share the work and a
    failing one is not asked after all the time; with *everything* that pause is
    ignored. One that fails does not hold up the others.
    """
    endings: list[Ending] = []
    seen: set[int] = set()
    while batch := set(_take_due(shop, everything, shop.clock())) - seen:
        seen |= batch
        endings += _end_all(shop, sorted(batch))
    return Sweep(
        expired=endings.count(Ending.CLOSED),
        confirmed=endings.count(Ending.PAID),
        kept=sum(endings.count(ending) for ending in STILL_HELD),
    )


def _take_due(shop: Shop, everything: bool, now: datetime) -> list[int]:
    conditions = [Checkout.status == PENDING, Checkout.expires_at <= now]
    if not everything:
        conditions.append(or_(Checkout.retry_at.is_(None), Checkout.retry_at <= now))
    due = (
        select(Checkout.id)
        .where(*conditions)
        .order_by(Checkout.expires_at)
        .limit(None if everything else SWEEP_BATCH)
    )
    with shop.database.read() as session:
        ids = session.scalars(due).all()
    if not ids:
        return []
    # The conditions stand again in the UPDATE itself: of two sweepers that found the
    # same checkout only one takes it.
    take = (
        update(Checkout)
        .where(Checkout.id.in_(ids), *conditions)
        .values(retry_at=now + RETRY_PAUSE)
        .returning(Checkout.id)
        .execution_options(synchronize_session=False)
    )
    return list(shop.database.write(lambda session: session.scalars(take).all()))


def reclaim(shop: Shop, product_ids: Iterable[int]) -> bool:
    """
    End the overdue checkouts that hold units of these products.

    Correctness thus never depends on the sweep. Ends a few at a time, the oldest first;
    returns whether any of them has ended, here or by another sweeper meanwhile.
    """
    with shop.database.read() as session:
        overdue = session.scalars(
            select(StockReservation.checkout_id)
            .where(
                StockReservation.product_id.in_(list(product_ids)),
                StockReservation.status == PENDING,
                StockReservation.expires_at <= shop.clock(),
            )
            .order_by(StockReservation.expires_at)
            .limit(RECLAIM_BATCH)
        ).all()
    endings = _end_all(shop, sorted(set(overdue)))
    return any(ending not in STILL_HELD for ending in endings)


def _end_all(shop: Shop, checkout_ids: list[int]) -> list[Ending]:
    if not checkout_ids:
        return []

    def end_one(checkout_id: int) -> Ending:
        try:
            return end(shop, checkout_id, status=EXPIRED, cause="hold over")
        except ShopError as error:
            logger.warning("checkout %s is kept: %s", checkout_id, error)
        except Exception:
            logger.exception("checkout %s is kept", checkout_id)
        return Ending.KEPT

    with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(checkout_ids))) as callers:
        return list(callers.map(end_one, checkout_ids))


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
