"""
Reconcile: compare with Stripe, and settle what a lost message or a crash left open.

Stripe's sessions are read by pages and by the time they were made, each compared with
the checkout that it belongs to (`comparison`). What no program can settle becomes an
entry for the owner. (Stripe lists sessions by time, not by our reference.)

Safe to run anywhere at once and to repeat. Correctness at the deadline does not depend
on it: the sweep asks Stripe about what is due.
"""

import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core.checkout.comparison import Reconciliation, compare_all
from core.checkout.payment_page import STRIPE_AFTER_HOLD, STRIPE_LEAST
from core.checkout.settlement import CLOCK_MARGIN, Ending, settle
from core.database.rows import insert_once
from core.errors import ShopError
from core.models.checkout import PENDING, Checkout, Reconciled
from core.payments import pace
from core.payments.data import Page
from core.payments.pace import in_turn
from core.refunds import sending
from core.shop import Shop

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A pass that was killed is made by another after this. One that is overtaken costs
# calls and does no harm.
LEASE = timedelta(minutes=1)
# A delayed payment takes days; what became of it is asked so often.
DELAYED_PAUSE = timedelta(hours=1)
ONLY_ROW = 1
# Delayed payments, refunds and disputes may change for so long after they were made.
FURTHEST = timedelta(days=90)
LOOK_BACK_EVERY = timedelta(hours=6)
SLICE_PAGES = 50


def reconcile(shop: Shop, *, since: datetime | None = None) -> Reconciliation:
    """
    Compare every session made *since* then, or since all was last in order.

    Refunds and disputes made at Stripe meanwhile are noted, too. Some times a day it
    looks back over all that may still change: what a payment, refund or dispute became
    weeks later is told by a message alone, which may be lost. Raises
    PaymentUnavailableError when Stripe cannot be reached; the next pass begins where
    this one began.
    """
    now = shop.clock()
    found = Reconciliation(since or _begin_from(shop, now), now)
    for page in _pages(shop, shop.gateway.sessions, found.since):
        found.seen += len(page.rows)
        compare_all(shop, page.rows, found)
    _look_at_delayed(shop, found)
    _take_refunds_and_disputes(shop, found.since, found)
    # The banks may say no days after they said yes.
    sending.look_at_open_refunds(shop)
    if not found.kept:
        shop.database.write(lambda session: _note_done(session, found))
    if since is None:
        _look_back(shop, found)
    return found


def _take_refunds_and_disputes(
    shop: Shop, since: datetime, found: Reconciliation
) -> None:
    for refunds in _pages(shop, shop.gateway.refunds, since):
        found.kept += sending.take_listed(shop, refunds.rows)
    for disputes in _pages(shop, shop.gateway.disputes, since):
        sending.take_disputes(shop, disputes.rows)


def _look_back(shop: Shop, found: Reconciliation) -> None:
    """
    Compare what is older and may still change, a slice in each pass until all is.

    A busy shop has too much of it for one pass, and money is not to wait for that.
    """
    taken = shop.database.write(lambda session: _take_slice(session, found.until))
    if taken is None:
        return
    since, following = taken
    pages = _pages(shop, shop.gateway.sessions, since, after=following)
    for page in itertools.islice(pages, SLICE_PAGES):
        compare_all(shop, page.rows, found)
        following = page.next
    if following is None:
        _take_refunds_and_disputes(shop, since, found)
    shop.database.write(lambda session: _note_slice(session, following, found.until))


def _take_slice(session: Session, now: datetime) -> tuple[datetime, str | None] | None:
    """Return since when and after which session to look back, if it is time to."""
    row = session.get_one(Reconciled, ONLY_ROW)
    if not row.look_on_after and row.looked_back_at > now - LOOK_BACK_EVERY:
        return None
    after = row.look_on_after
    # If this slice fails, all begins anew: Stripe may not know that session any more.
    row.look_on_after = ""
    session.flush()
    return _earliest(session, now) - CLOCK_MARGIN, after


def _note_slice(session: Session, following: str | None, now: datetime) -> None:
    changed = {"look_on_after": following} if following else {"looked_back_at": now}
    session.execute(update(Reconciled).values(changed))


def reconcile_in_turn(shop: Shop) -> Reconciliation | None:
    """Make a pass unless another process is at it, or has just been; None then."""
    now = shop.clock()
    # Nearly always it is too early, which is no reason to write.
    with shop.database.read() as session:
        row = session.get(Reconciled, ONLY_ROW)
    if row is not None and row.taken_until > now:
        return None
    if not shop.database.write(lambda session: _take_turn(session, now)):
        return None
    pause = timedelta(seconds=shop.config.reconcile_interval_seconds)
    # What could not be settled, or not even read, is tried again sooner.
    pause_after = pause / 3
    try:
        found = reconcile(shop)
        if not found.kept:
            pause_after = pause
        return found
    finally:
        shop.database.write(
            lambda session: session.execute(
                update(Reconciled).values(taken_until=shop.clock() + pause_after)
            )
        )


def _take_turn(session: Session, now: datetime) -> bool:
    _begin(session, now)
    taken = session.scalar(
        update(Reconciled)
        .where(Reconciled.taken_until <= now)
        .values(taken_until=now + LEASE)
        .returning(Reconciled.id)
        .execution_options(synchronize_session=False)
    )
    return taken is not None


def _begin(session: Session, now: datetime) -> Reconciled:
    """The first time all checkouts are to be compared, as far as Stripe may tell."""
    if session.get(Reconciled, ONLY_ROW) is None:
        values = {
            "id": ONLY_ROW,
            "until": _earliest(session, now),
            "looked_back_at": now,
            "taken_until": now,
        }
        insert_once(session, Reconciled, values)
    return session.get_one(Reconciled, ONLY_ROW)


def _earliest(session: Session, now: datetime) -> datetime:
    """Return when the first checkout was made of those that may still change."""
    first = session.scalar(select(Checkout.created_at).order_by(Checkout.id).limit(1))
    return max(first or now, now - FURTHEST)


def _begin_from(shop: Shop, now: datetime) -> datetime:
    """What was open when all was last in order may have been paid since."""
    until = shop.database.write(lambda session: _begin(session, now).until)
    longest = max(STRIPE_LEAST, shop.config.hold_for + STRIPE_AFTER_HOLD)
    return until - longest - CLOCK_MARGIN


def _note_done(session: Session, found: Reconciliation) -> None:
    session.execute(
        update(Reconciled)
        .where(Reconciled.until.between(found.since, found.until))
        .values(until=found.until)
    )


def _look_at_delayed(shop: Shop, found: Reconciliation) -> None:
    """Ask after delayed payments, which may come or fail days after the session."""
    now = shop.clock()
    is_waiting = (Checkout.status == PENDING) & Checkout.awaits_payment
    take = (
        update(Checkout)
        .where(
            is_waiting,
            Checkout.stripe_session_id.is_not(None),
            or_(Checkout.retry_at.is_(None), Checkout.retry_at <= now),
        )
        .values(retry_at=now + DELAYED_PAUSE)
        .returning(Checkout.id, Checkout.stripe_session_id)
        .execution_options(synchronize_session=False)
    )
    with shop.database.read() as session:
        if session.scalar(select(Checkout.id).where(is_waiting).limit(1)) is None:
            return
    for checkout_id, session_id in shop.database.write(
        lambda session: session.execute(take).all()
    ):
        try:
            fresh = in_turn(partial(shop.gateway.retrieve, session_id or ""))
            if fresh is not None:
                ending = settle(shop, checkout_id, fresh)
                found.settled += ending in (Ending.PAID, Ending.CLOSED)
        except ShopError as error:
            # It is asked after again when its pause is over.
            logger.warning("checkout %s is looked at again: %s", checkout_id, error)


def _keep_turn(shop: Shop) -> None:
    """There is more to read: nobody else need begin meanwhile."""
    until = shop.clock() + LEASE
    shop.database.write(
        lambda session: session.execute(
            update(Reconciled)
            .where(Reconciled.taken_until < until)
            .values(taken_until=until)
        )
    )


def _pages(
    shop: Shop,
    ask: Callable[..., Page[T]],
    since: datetime,
    *,
    after: str | None = "",
) -> Iterator[Page[T]]:
    return pace.pages(ask, since, after=after, keep_turn=partial(_keep_turn, shop))
