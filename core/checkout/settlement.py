"""
How a checkout ends: Stripe is asked, and what it says is carried out.

Invariant: while a Stripe session can be paid, its units stay reserved. Units are given
back only after Stripe has said that the session is closed; if it says that it was paid,
the order is made instead; if it says nothing, the hold stays and is tried again.

Webhook, return page, sweep and cancel all end here: whoever comes first does the work,
the others find it done. A workflow opens its own transactions and never holds one
across a call to Stripe.
"""

import logging
import random
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta
from enum import Enum, auto

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core import offers
from core.checkout import late_money
from core.errors import (
    PaymentError,
    PaymentUnavailableError,
    ShopError,
)
from core.models.checkout import EXPIRED, PAYMENT_FAILED, PENDING, Checkout
from core.models.stock import StockReservation
from core.orders import orders
from core.orders.orders import NOT_NOTED
from core.payments.data import Payment, PaymentSession, SessionLine, SessionRequest
from core.payments.offer import Offer
from core.payments.retry import ONCE_MORE
from core.records import Noted
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed, Reserved, Terms

logger = logging.getLogger(__name__)

# Stripe takes 25 requests a second at one endpoint.
CALLS_AT_ONCE = 8
# A shopper who meets a shortage waits for no more overdue checkouts at a time.
RECLAIM_BATCH = 8
# A delayed payment takes days; its session is looked at again every so often.
PROLONG_BY = timedelta(days=1)
# Late money waits so often for whoever ends the holds in its way; seconds between.
TIMES_PASSED_BY = 10
PASSED_BY_PAUSE = 0.2
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


HOLD_OVER = Closed(EXPIRED, "hold over")
CLOSED_AT_STRIPE = Closed(EXPIRED, "closed at Stripe")
STILL_HELD = (Ending.KEPT, Ending.AWAITS_PAYMENT)


def settle(
    shop: Shop,
    checkout_id: int,
    session: PaymentSession,
    *,
    event: Noted = NOT_NOTED,
) -> Ending:
    """
    Carry out what Stripe says of a checkout's *session*; safe to repeat and to race.

    A sale notes the *event* that told of it in the same transaction.
    """
    found = _judge(shop, checkout_id, session, CLOSED_AT_STRIPE, event)
    return _release(shop, checkout_id, found)


def _judge(
    shop: Shop,
    checkout_id: int,
    session: PaymentSession,
    closed: Closed,
    event: Noted = NOT_NOTED,
) -> Ending | Closed:
    """Carry out what Stripe says, but for giving units back."""
    if session.is_paid:
        return _confirm(shop, checkout_id, session, event)
    if not session.is_closed and not session.awaits_payment:
        return Ending.KEPT
    with shop.database.read() as reading:
        checkout = reading.get_one(Checkout, checkout_id)
    # What happens to one session says nothing of a checkout that has another.
    if checkout.stripe_session_id not in (None, session.id):
        return Ending.ENDED_BEFORE
    if session.is_closed:
        return closed
    if session.payment_failed:
        return Closed(EXPIRED, PAYMENT_FAILED)
    return _prolong(shop, checkout, session)


def end(shop: Shop, checkout_id: int, closed: Closed) -> Ending:
    """
    End a checkout on this side only after its session is closed at Stripe.

    Raises PaymentUnavailableError when Stripe cannot tell; then the hold stays. Safe to
    repeat.
    """
    found = _close_session(shop, checkout_id, closed)
    return _release(shop, checkout_id, found)


def _close_session(shop: Shop, checkout_id: int, closed: Closed) -> Ending | Closed:
    with shop.database.read() as session:
        checkout = session.get(Checkout, checkout_id)
    if checkout is None or checkout.status != PENDING:
        return Ending.ENDED_BEFORE
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
        return _judge(shop, checkout_id, ended, closed)
    if is_over:
        return Closed(closed.status, "unknown at Stripe")
    _leave_to_others(shop, checkout_id)
    return Ending.KEPT


def _session_made(
    shop: Shop, checkout: Checkout, *, is_over: bool
) -> PaymentSession | None:
    """
    Find the session of a checkout whose create was never answered.

    The same request under the same key gives the session that it made before. A refusal
    proves nothing by itself, as a key that was changed since is refused first; nor does
    a stored 500. But both are the end of that request: what it has made is in the list
    by then. Raises PaymentUnavailableError as long as a create may still be under way,
    which no longer matters when *is_over*: its page could not be paid any more.
    """
    may_be_under_way = False
    try:
        return shop.gateway.create(session_request(shop, checkout), retries=ONCE_MORE)
    except PaymentUnavailableError as error:
        may_be_under_way = not error.is_concluded and not is_over
        unclear = error
    except PaymentError:
        pass
    found = shop.gateway.find(
        checkout.idempotency_key, since=checkout.created_at - CLOCK_MARGIN
    )
    if found is None and may_be_under_way:
        raise unclear
    return found


def _leave_to_others(shop: Shop, checkout_id: int) -> None:
    """
    Let another shop on this database try soon: it may have another Stripe.

    Two demos may share a database, and each asks its own emulator. The pause is drawn,
    so that they do not wait for each other in step.
    """
    pause = timedelta(seconds=random.uniform(1, 8))  # noqa: S311 (no secret)
    shop.database.write(
        lambda session: session.execute(
            update(Checkout)
            .where(Checkout.id == checkout_id, Checkout.status == PENDING)
            .values(retry_at=shop.clock() + pause)
        )
    )


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


def _release(shop: Shop, checkout_id: int, found: Ending | Closed) -> Ending:
    if isinstance(found, Ending):
        return found
    ended = shop.database.write_single(
        lambda session: reservations.end(session, checkout_id, found, now=shop.clock())
    )
    return Ending.CLOSED if ended else Ending.ENDED_BEFORE


def _prolong(shop: Shop, checkout: Checkout, paid: PaymentSession) -> Ending | Closed:
    now = shop.clock()
    until = min(now + PROLONG_BY, checkout.created_at + shop.config.delayed_payment_for)
    if until <= now:
        # If the money comes after all, it is late money like any other.
        return Closed(EXPIRED, "the delayed payment did not come in time")

    def work(session: Session) -> bool:
        reservations.attach(session, checkout.id, paid.id, now=now)
        return reservations.prolong(session, checkout.id, until, now=now)

    prolonged = shop.database.write(work)
    return Ending.AWAITS_PAYMENT if prolonged else Ending.ENDED_BEFORE


def _confirm(
    shop: Shop, checkout_id: int, paid: PaymentSession, event: Noted
) -> Ending:
    payment = Payment(paid.id, paid.payment_intent, paid.bill, paid.refunded_cents)
    sold = shop.database.write_single(
        lambda session: orders.confirm(
            session, checkout_id, payment, now=shop.clock(), event=event
        )
    )
    if not sold:
        late_money.confirm_or_refund(
            shop,
            checkout_id,
            payment,
            event=event,
            reclaim=lambda product_ids: _reclaim_for_late_money(shop, product_ids),
        )
    return Ending.PAID


def _reclaim_for_late_money(shop: Shop, product_ids: list[int]) -> bool:
    """Reclaim; raise if it cannot be told what comes back, which proves no shortage."""
    were_ended = False
    for _ in range(TIMES_PASSED_BY):
        endings = _reclaim(shop, product_ids)
        if Ending.CLOSED in endings or Ending.PAID in endings:
            return True
        if Ending.KEPT in endings:
            raise PaymentUnavailableError("an overdue hold is in the way of late money")
        if Ending.AWAITS_PAYMENT in endings:
            # They stay held, but are not overdue any more: behind them others may be.
            continue
        if Ending.ENDED_BEFORE not in endings:
            return were_ended
        # Another process has ended them, or has just begun to.
        were_ended = True
        time.sleep(PASSED_BY_PAUSE)
    raise PaymentUnavailableError("overdue holds in the way are being ended elsewhere")


def reclaim(shop: Shop, product_ids: Iterable[int]) -> bool:
    """
    End the overdue checkouts that hold units of these products.

    Correctness thus never depends on the sweep. Ends a few at a time, the oldest first;
    returns whether any of them has ended, here or by another sweeper meanwhile.
    """
    endings = _reclaim(shop, product_ids)
    return any(ending not in STILL_HELD for ending in endings)


def _reclaim(shop: Shop, product_ids: Iterable[int]) -> list[Ending]:
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
    return end_all(shop, sorted(set(overdue)))


def end_all(shop: Shop, checkout_ids: Collection[int]) -> list[Ending]:
    """
    End these overdue checkouts; one that fails is KEPT and holds up no other.

    Stripe is asked about several at a time, and what it has answered meanwhile goes
    back in one statement.
    """
    endings: list[Ending] = []
    with ThreadPoolExecutor(CALLS_AT_ONCE) as callers:
        asked = {
            callers.submit(_close_overdue, shop, checkout_id): checkout_id
            for checkout_id in checkout_ids
        }
        while asked:
            answered, _ = wait(asked, return_when=FIRST_COMPLETED)
            found = {asked.pop(answer): answer.result() for answer in answered}
            endings += _release_all(shop, found)
    return endings


def _close_overdue(shop: Shop, checkout_id: int) -> Ending | Closed:
    try:
        return _close_session(shop, checkout_id, HOLD_OVER)
    except ShopError as error:
        logger.warning("checkout %s is kept: %s", checkout_id, error)
    except Exception:
        logger.exception("checkout %s is kept", checkout_id)
    return Ending.KEPT


def _release_all(shop: Shop, found: Mapping[int, Ending | Closed]) -> list[Ending]:
    endings = [each for each in found.values() if isinstance(each, Ending)]
    closed: defaultdict[Closed, list[int]] = defaultdict(list)
    for checkout_id, each in found.items():
        if isinstance(each, Closed):
            closed[each].append(checkout_id)
    for how, ids in closed.items():
        endings += _release_together(shop, ids, how)
    return endings


def _release_together(
    shop: Shop, checkout_ids: list[int], closed: Closed
) -> list[Ending]:
    try:
        ended = shop.database.write_single(
            lambda session: reservations.end_all(
                session, checkout_ids, closed, now=shop.clock()
            )
        )
    except Exception:
        logger.exception("checkouts %s are kept", checkout_ids)
        return [Ending.KEPT] * len(checkout_ids)
    others = len(checkout_ids) - len(ended)
    return [Ending.CLOSED] * len(ended) + [Ending.ENDED_BEFORE] * others
