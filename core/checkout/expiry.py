"""
The sweep: end what is due.

Safe to run anywhere at once, by threads, a cron job and commands of many processes.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, tuple_, update

from core.checkout.closing import STILL_HELD, Ending
from core.checkout.settlement import end_all
from core.models.checkout import PENDING, Checkout
from core.refunds import sending
from core.shop import Shop

# Few enough to be done before RETRY_PAUSE, unless Stripe hangs, and for no shopper to
# notice when all of them are released at once.
BATCH = 50
# A checkout that could not be ended, or whose sweeper was killed, is tried again then.
RETRY_PAUSE = timedelta(seconds=15)


@dataclass(frozen=True)
class Sweep:
    """What a pass over the due checkouts did; counts of checkouts."""

    expired: int
    confirmed: int
    kept: int


def sweep(shop: Shop, *, everything: bool = False) -> Sweep:
    """
    Make one pass: end what is due, send the refunds that are owed. Safe to repeat.

    The thread, the cron route and the command all do exactly this.
    """
    try:
        return expire_due(shop, everything=everything)
    finally:
        sending.send_refunds(shop)


def expire_due(shop: Shop, *, everything: bool = False) -> Sweep:
    """
    End every checkout whose hold is over; safe to run anywhere at once.

    Each is claimed for a RETRY_PAUSE, so that several sweepers share the work and a
    failing one is not tried all the time; *everything* ignores that pause. One that
    fails does not hold up the others.
    """
    endings: Counter[Ending] = Counter()
    last = None
    while batch := _take_due(shop, last, everything=everything):
        last = max((expires_at, checkout_id) for checkout_id, expires_at in batch)
        endings.update(end_all(shop, sorted(row[0] for row in batch)))
    return Sweep(
        expired=endings[Ending.CLOSED],
        confirmed=endings[Ending.PAID],
        kept=sum(endings[ending] for ending in STILL_HELD),
    )


def _take_due(
    shop: Shop, last: tuple[datetime, int] | None, *, everything: bool
) -> list[tuple[int, datetime]]:
    """Take the next due checkouts after *last*; return (id, deadline) of each."""
    now = shop.clock()
    conditions = [Checkout.status == PENDING, Checkout.expires_at <= now]
    if last is not None:
        conditions.append(tuple_(Checkout.expires_at, Checkout.id) > tuple_(*last))
    if not everything:
        conditions.append(Checkout.retry_at.is_(None) | (Checkout.retry_at <= now))
    due = (
        select(Checkout.id)
        .where(*conditions)
        .order_by(Checkout.expires_at, Checkout.id)
        .limit(BATCH)
    )
    with shop.database.read() as session:
        if session.scalar(due.limit(1)) is None:
            return []
    # What another sweeper has claimed is skipped. SQLite has one writer at a time and
    # leaves the clause out.
    free = due.with_for_update(skip_locked=True).cte("free")
    take = (
        update(Checkout)
        .where(Checkout.id.in_(select(free.c.id)), *conditions)
        .values(retry_at=now + RETRY_PAUSE)
        .returning(Checkout.id, Checkout.expires_at)
        .execution_options(synchronize_session=False)
    )
    rows = shop.database.write_single(lambda session: session.execute(take).all())
    return [(row[0], row[1]) for row in rows]
