"""
How a checkout ends: Stripe is asked, and what it says is carried out.

Invariant: while a Stripe session can be paid, its units stay reserved. They are
released only after Stripe has said that the session is closed. If it was paid, the
order is made instead; if Stripe says nothing, the hold stays and is tried again.

Webhook, return page, sweep, cancel and reconcile all end here: the first does the work,
the others find it done. No transaction is held across a call to Stripe.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.checkout import closing, late_money
from core.checkout.closing import STILL_HELD, Ending
from core.errors import PaymentUnavailableError, ShopError
from core.models.checkout import EXPIRED, PAYMENT_FAILED, PENDING, Checkout
from core.models.stock import StockReservation
from core.orders import orders
from core.orders.orders import NOT_NOTED
from core.payments.data import Payment, PaymentSession
from core.records import Noted
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed

logger = logging.getLogger(__name__)

# Stripe takes 25 requests a second at one endpoint.
CALLS_AT_ONCE = 8
# A shopper who meets a shortage waits for this many overdue checkouts at a time.
RECLAIM_BATCH = 8
# A delayed payment takes days; its session is looked at again after this.
PROLONG_BY = timedelta(days=1)
# Late money waits while others end the holds in its way: this many times, this long.
PASSED_BY_TRIES = 10
PASSED_BY_SECONDS = 0.2
HOLD_OVER = Closed(EXPIRED, "hold over", is_unpaid=True)
CLOSED_AT_STRIPE = Closed(EXPIRED, "closed at Stripe", is_unpaid=True)
DELAYED_FAILED = Closed(EXPIRED, PAYMENT_FAILED, is_unpaid=True)
DELAYED_TOO_LATE = Closed(
    EXPIRED, "the delayed payment did not come in time", is_unpaid=True
)


def settle(
    shop: Shop, checkout_id: int, session: PaymentSession, *, event: Noted = NOT_NOTED
) -> Ending:
    """
    Carry out what Stripe says of a checkout's *session*; safe to repeat and to race.

    A sale notes the *event* that told of it in the same transaction.
    """
    found = _judge(shop, checkout_id, session, CLOSED_AT_STRIPE, event)
    return release(shop, checkout_id, found)


def _judge(
    shop: Shop,
    checkout_id: int,
    session: PaymentSession,
    closed: Closed,
    event: Noted = NOT_NOTED,
) -> Ending | Closed:
    """Carry out what Stripe says, except that units are not released yet."""
    if session.is_paid:
        return _confirm(shop, checkout_id, session, event)
    if not session.is_closed and not session.awaits_payment:
        return Ending.KEPT
    with shop.database.read() as reading:
        checkout = reading.get_one(Checkout, checkout_id)
    # One session says nothing about a checkout that has another.
    if checkout.stripe_session_id not in (None, session.id):
        return Ending.ENDED_BEFORE
    if session.is_closed:
        return closed
    if session.payment_failed:
        return DELAYED_FAILED
    return _prolong(shop, checkout, session)


def end(shop: Shop, checkout_id: int, closed: Closed) -> Ending:
    """
    End a checkout, once its session is closed at Stripe.

    Raises PaymentUnavailableError when Stripe cannot tell; then the hold stays. Safe to
    repeat.
    """
    return release(shop, checkout_id, _close(shop, checkout_id, closed))


def _close(shop: Shop, checkout_id: int, closed: Closed) -> Ending | Closed:
    found = closing.close(shop, checkout_id, closed)
    if isinstance(found, PaymentSession):
        return _judge(shop, checkout_id, found, closed)
    return found


def release(shop: Shop, checkout_id: int, found: Ending | Closed) -> Ending:
    """End a checkout whose page is closed or was never made; safe to repeat."""
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
        return DELAYED_TOO_LATE

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
        reclaim = partial(_reclaim_for_late_money, shop)
        late_money.confirm_or_refund(
            shop, checkout_id, payment, event=event, reclaim=reclaim
        )
    return Ending.PAID


def _reclaim_for_late_money(shop: Shop, product_ids: list[int]) -> bool:
    """Reclaim; raise if Stripe cannot tell, as only a proven shortage decides."""
    were_ended = False
    for _ in range(PASSED_BY_TRIES):
        endings = _reclaim(shop, product_ids)
        if Ending.CLOSED in endings or Ending.PAID in endings:
            return True
        if Ending.KEPT in endings:
            raise PaymentUnavailableError("an overdue hold is in the way of late money")
        if Ending.AWAITS_PAYMENT in endings:
            # These stay held but are not overdue any more; others may be behind them.
            continue
        if Ending.ENDED_BEFORE not in endings:
            return were_ended
        # Another process has ended them, or has just begun to.
        were_ended = True
        time.sleep(PASSED_BY_SECONDS)
    raise PaymentUnavailableError("overdue holds in the way are being ended elsewhere")


def reclaim(shop: Shop, product_ids: Iterable[int]) -> bool:
    """
    End the overdue checkouts that hold units of these products.

    So correctness never depends on the sweep. Ends a few at a time, the oldest first;
    returns whether any has ended, here or elsewhere meanwhile.
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

    Stripe is asked about several at a time; the units of those answered meanwhile are
    released in one statement.
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
        return _close(shop, checkout_id, HOLD_OVER)
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
