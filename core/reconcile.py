"""
Reconcile: compare with Stripe, and settle what a lost message or a crash left open.

Stripe's sessions are read by pages and by the time they were made, each compared with
the checkout that it belongs to; only where the two differ is Stripe asked again and
settled, by the same function as everywhere. What no program can settle becomes an entry
for the owner. (Stripe lists sessions by time, not by our reference.)

Safe to run anywhere at once and to repeat. Correctness at the deadline does not depend
on it: the sweep asks Stripe about what is due.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core import records, refunding
from core.checkout import STRIPE_AFTER_HOLD, STRIPE_LEAST
from core.errors import PaymentBusyError, PaymentUnavailableError, ShopError
from core.models import (
    PAID_TWICE,
    PENDING,
    TOO_LATE,
    UNKNOWN_SESSION,
    Checkout,
    Order,
    Reconciled,
    Refund,
    ToDo,
)
from core.payment_data import Page, PaymentSession
from core.settlement import CLOCK_MARGIN, Ending, settle
from core.shop import Shop

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Stripe takes 25 requests a second at one endpoint; customers come first.
CALLS_PER_SECOND = 10
BUSY_PAUSES = (1.0, 4.0, 15.0)
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


@dataclass
class Reconciliation:
    """What a pass found; counts of sessions, the moments are what it has covered."""

    since: datetime
    until: datetime
    seen: int = 0
    settled: int = 0
    closed: int = 0
    entered: int = 0
    kept: int = 0


@dataclass(frozen=True)
class _Known:
    """What we know of a session's checkout; *is_final* if its payment is accounted."""

    checkout_id: int
    status: str
    attached: str | None
    is_final: bool


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
        _compare_all(shop, page.rows, found)
    _look_at_delayed(shop, found)
    _take_refunds_and_disputes(shop, found.since, found)
    # The banks may say no days after they said yes.
    refunding.look_at_open_refunds(shop)
    if not found.kept:
        shop.database.write(lambda session: _note_done(session, found, shop.clock()))
    if since is None:
        _look_back(shop, found)
    return found


def _take_refunds_and_disputes(
    shop: Shop, since: datetime, found: Reconciliation
) -> None:
    for refunds in _pages(shop, shop.gateway.refunds, since):
        found.kept += refunding.take_listed(shop, refunds.rows)
    for disputes in _pages(shop, shop.gateway.disputes, since):
        refunding.take_disputes(shop, disputes.rows)


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
        _compare_all(shop, page.rows, found)
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
        records.insert_once(session, Reconciled, values)
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


def _note_done(session: Session, found: Reconciliation, now: datetime) -> None:
    session.execute(
        update(Reconciled)
        .where(Reconciled.until.between(found.since, found.until))
        .values(until=found.until, finished_at=now)
    )


def _known(shop: Shop, sessions: Iterable[PaymentSession]) -> dict[str, _Known]:
    """Find the checkouts of a page of sessions, by what we gave these when made."""
    by_id = {session.id: session for session in sessions}
    keys = {each.checkout_key for each in by_id.values() if each.checkout_key}
    with shop.database.read() as session:
        rows = session.execute(
            select(
                Checkout.id,
                Checkout.status,
                Checkout.stripe_session_id,
                Checkout.idempotency_key,
            ).where(
                or_(
                    Checkout.stripe_session_id.in_(by_id),
                    Checkout.idempotency_key.in_(keys),
                )
            )
        ).all()
        final = {
            stripe_session_id
            for accounted in (
                select(Order.stripe_session_id).where(
                    Order.stripe_session_id.in_(by_id)
                ),
                select(Refund.stripe_session_id).where(
                    Refund.stripe_session_id.in_(by_id)
                ),
                select(ToDo.stripe_id).where(
                    ToDo.stripe_id.in_(by_id), ToDo.kind.in_((TOO_LATE, PAID_TWICE))
                ),
            )
            for stripe_session_id in session.scalars(accounted)
        }
    by_session = {row.stripe_session_id: row for row in rows}
    by_key = {row.idempotency_key: row for row in rows}
    found = {}
    for session_id, each in by_id.items():
        row = by_session.get(session_id) or by_key.get(each.checkout_key)
        if row is not None:
            found[session_id] = _Known(
                row.id, row.status, row.stripe_session_id, session_id in final
            )
    return found


def _compare_all(
    shop: Shop, sessions: Sequence[PaymentSession], found: Reconciliation
) -> None:
    known = _known(shop, sessions)
    for session in sessions:
        _compare(shop, session, known.get(session.id), found)


def _compare(
    shop: Shop, session: PaymentSession, known: _Known | None, found: Reconciliation
) -> None:
    try:
        if known is None:
            found.entered += _enter_unknown(shop, session)
        elif _differs(session, known):
            _settle(shop, session, known, found)
    except ShopError as error:
        found.kept += 1
        logger.warning("session %s is looked at again: %s", session.id, error)
    except Exception:
        found.kept += 1
        logger.exception("session %s is looked at again", session.id)


def _differs(session: PaymentSession, known: _Known) -> bool:
    is_pending = known.status == PENDING
    is_its_page = known.attached in (None, session.id)
    if session.is_paid:
        return not known.is_final
    if session.status == "open":
        # Nobody may pay for units that are not held for this very page.
        return not (is_pending and is_its_page)
    return is_pending and is_its_page and session.is_closed


def _settle(
    shop: Shop, session: PaymentSession, known: _Known, found: Reconciliation
) -> None:
    ask = shop.gateway.expire if session.status == "open" else shop.gateway.retrieve
    fresh = _unless_busy(lambda: ask(session.id))
    if fresh is None:
        raise PaymentUnavailableError("a listed session is unknown to Stripe")
    if fresh.is_closed and session.status == "open":
        logger.warning("session %s could be paid and was closed", session.id)
        found.closed += 1
    ending = settle(shop, known.checkout_id, fresh, cause="closed at Stripe")
    found.kept += ending is Ending.KEPT
    found.settled += ending in (Ending.PAID, Ending.CLOSED, Ending.AWAITS_PAYMENT)


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
            fresh = _unless_busy(partial(shop.gateway.retrieve, session_id or ""))
            if fresh is not None:
                ending = settle(shop, checkout_id, fresh, cause="closed at Stripe")
                found.settled += ending in (Ending.PAID, Ending.CLOSED)
        except ShopError as error:
            # It is asked after again when its pause is over.
            logger.warning("checkout %s is looked at again: %s", checkout_id, error)


def _enter_unknown(shop: Shop, session: PaymentSession) -> bool:
    """
    Tell the owner of money for a session of ours whose checkout is not here.

    It may be a copy that Stripe made, of another shop with this program, or of a
    database that was put back. One without our mark is none of our business.
    """
    if not session.checkout_key or not session.is_paid:
        return False
    return shop.database.write(
        lambda writing: records.add_to_do(
            writing,
            UNKNOWN_SESSION,
            f"unknown-{session.id}",
            checkout_id=None,
            stripe_id=session.id,
            payment_intent=session.payment_intent or "",
            amount_cents=session.bill.total_cents,
            currency=session.bill.currency or "eur",
            now=shop.clock(),
        )
    )


def _pages(
    shop: Shop,
    ask: Callable[..., Page[T]],
    since: datetime,
    *,
    after: str | None = "",
) -> Iterator[Page[T]]:
    """Go through Stripe's pages no faster than it allows."""
    while after is not None:
        began = time.monotonic()
        page = _unless_busy(partial(ask, since=since, after=after))
        yield page
        after = page.next
        if after is not None:
            _keep_turn(shop)
            spent = time.monotonic() - began
            time.sleep(max(0, 1 / CALLS_PER_SECOND - spent))


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


def _unless_busy(call: Callable[[], T]) -> T:
    """Make the call, and again after a while when Stripe is too busy."""
    for pause in BUSY_PAUSES:
        try:
            return call()
        except PaymentBusyError:
            time.sleep(pause)
    return call()
