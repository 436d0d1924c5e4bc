"""
Reconcile: compare with Stripe, and settle what a lost message or a crash left open.

Stripe lists sessions by time, not by our reference. So they are read page by page, and
each is compared with its checkout (`comparison`). What no program can settle becomes an
entry for the owner.

Safe to run anywhere at once and to repeat. Correctness at the deadline does not depend
on it: the sweep asks Stripe about what is due.
"""

import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.checkout.closing import CLOCK_MARGIN, Ending
from core.checkout.comparison import Reconciliation, compare_all
from core.checkout.payment_page import STRIPE_AFTER_HOLD, STRIPE_LEAST
from core.checkout.settlement import settle
from core.database.rows import change, insert_once
from core.errors import ShopError
from core.models.checkout import PENDING, Checkout, Reconciled
from core.payments.data import Page
from core.payments.pace import paced
from core.refunds import sending
from core.shop import Shop

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A killed pass is made again by another process after this. A pass that is overtaken
# costs calls and does no harm.
LEASE = timedelta(minutes=1)
# A delayed payment takes days; Stripe is asked about it this often.
DELAYED_PAUSE = timedelta(hours=1)
ONLY_ROW = 1
ONLY = Reconciled.id == ONLY_ROW
# Delayed payments, refunds and disputes may change this long after they were made.
FURTHEST = timedelta(days=90)
LOOK_BACK_EVERY = timedelta(hours=6)
SLICE_PAGES = 50


def reconcile(shop: Shop, *, since: datetime | None = None) -> Reconciliation:
    """
    Compare every session made *since* then, or since the last pass without errors.

    Refunds and disputes made at Stripe are recorded, too. Every LOOK_BACK_EVERY it also
    looks back over all that may still change: weeks later only a message tells what
    became of a payment, refund or dispute, and messages are lost. Raises
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
    # A bank may refuse a refund days after it accepted it.
    sending.look_at_open_refunds(shop)
    if not found.kept:
        until = found.until
        follows = Reconciled.until.between(found.since, until)
        shop.database.write(lambda s: change(s, Reconciled, follows, until=until))
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
    Compare what is older and may still change, a slice in each pass.

    A busy shop has too much for one pass, and new payments must not wait for it.
    """
    taken = shop.database.write(lambda session: _take_slice(session, found.until))
    if taken is None:
        return
    since, following = taken
    pages = _pages(shop, shop.gateway.sessions, since, following)
    for page in itertools.islice(pages, SLICE_PAGES):
        compare_all(shop, page.rows, found)
        following = page.next
    if following is None:
        _take_refunds_and_disputes(shop, since, found)
    look: dict[str, Any] = {"looked_back_at": found.until}
    if following:
        look = {"look_on_after": following}
    shop.database.write(lambda s: change(s, Reconciled, ONLY, **look))


def _take_slice(session: Session, now: datetime) -> tuple[datetime, str | None] | None:
    """Return since when and after which session to look back, if it is time to."""
    row = session.get_one(Reconciled, ONLY_ROW)
    if not row.look_on_after and row.looked_back_at > now - LOOK_BACK_EVERY:
        return None
    after = row.look_on_after
    # If this slice fails it begins anew: Stripe may not know that session any more.
    row.look_on_after = ""
    session.flush()
    return _earliest(session, now) - CLOCK_MARGIN, after


def reconcile_if_due(shop: Shop) -> Reconciliation | None:
    """Make a pass unless another process is at it, or has just been; None then."""
    now = shop.clock()
    # Nearly always it is too early: then nothing is written.
    with shop.database.read() as session:
        row = session.get(Reconciled, ONLY_ROW)
    if row is not None and row.taken_until > now:
        return None
    if not shop.database.write(lambda session: _take_lease(session, now)):
        return None
    pause = timedelta(seconds=shop.config.reconcile_interval_seconds)
    found = None
    try:
        found = reconcile(shop)
        return found
    finally:
        # What could not be settled or read is tried again sooner.
        is_done = found is not None and not found.kept
        until = shop.clock() + (pause if is_done else pause / 3)
        shop.database.write(lambda s: change(s, Reconciled, ONLY, taken_until=until))


def _take_lease(session: Session, now: datetime) -> bool:
    _begin(session, now)
    is_free = Reconciled.taken_until <= now
    return change(session, Reconciled, is_free, taken_until=now + LEASE) is not None


def _begin(session: Session, now: datetime) -> Reconciled:
    """Return the row; the first time it begins with the earliest checkout."""
    if session.get(Reconciled, ONLY_ROW) is None:
        values = {"id": ONLY_ROW, "until": _earliest(session, now)}
        times = {"looked_back_at": now, "taken_until": now}
        insert_once(session, Reconciled, {**values, **times})
    return session.get_one(Reconciled, ONLY_ROW)


def _earliest(session: Session, now: datetime) -> datetime:
    """Return when the first checkout that may still change was made."""
    first = session.scalar(select(Checkout.created_at).order_by(Checkout.id).limit(1))
    return max(first or now, now - FURTHEST)


def _begin_from(shop: Shop, now: datetime) -> datetime:
    """Return the start of a pass: what was open at the last one may be paid now."""
    until = shop.database.write(lambda session: _begin(session, now).until)
    longest = max(STRIPE_LEAST, shop.config.hold_for + STRIPE_AFTER_HOLD)
    return until - longest - CLOCK_MARGIN


def _look_at_delayed(shop: Shop, found: Reconciliation) -> None:
    """Ask about delayed payments, which may come or fail days after the session."""
    now = shop.clock()
    is_waiting = (Checkout.status == PENDING) & Checkout.awaits_payment
    is_due = Checkout.retry_at.is_(None) | (Checkout.retry_at <= now)
    take = (
        update(Checkout)
        .where(is_waiting, is_due, Checkout.stripe_session_id.is_not(None))
        .values(retry_at=now + DELAYED_PAUSE)
        .returning(Checkout.id, Checkout.stripe_session_id)
        .execution_options(synchronize_session=False)
    )
    with shop.database.read() as session:
        if session.scalar(select(Checkout.id).where(is_waiting).limit(1)) is None:
            return
    waiting = shop.database.write(lambda session: session.execute(take).all())
    for checkout_id, session_id in waiting:
        try:
            fresh = paced(shop.gateway.retrieve, session_id or "")
            if fresh is not None:
                ending = settle(shop, checkout_id, fresh)
                found.settled += ending in (Ending.PAID, Ending.CLOSED)
        except ShopError as error:
            # It is tried again when its pause is over.
            logger.warning("checkout %s is looked at again: %s", checkout_id, error)


def _pages(
    shop: Shop, ask: Callable[..., Page[T]], since: datetime, after: str | None = ""
) -> Iterator[Page[T]]:
    """
    Go through Stripe's pages of what was made *since* then, from the one *after*.

    The lease is kept before each further one. Raises PaymentUnavailableError.
    """
    while after is not None:
        page = paced(ask, since=since, after=after)
        yield page
        after = page.next
        if after is not None:
            until = shop.clock() + LEASE
            ends = Reconciled.taken_until < until
            keep = partial(change, model=Reconciled, which=ends, taken_until=until)
            shop.database.write(keep)
