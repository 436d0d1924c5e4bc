"""
The sweep: end what is due.

Safe to run anywhere at once, by threads, a cron job and commands of many processes.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, select, update

from core import refunds
from core.models import PENDING, Checkout
from core.settlement import STILL_HELD, Ending, end_all
from core.shop import Shop

BATCH = 200
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
        refunds.send_refunds(shop)


def expire_due(shop: Shop, *, everything: bool = False) -> Sweep:
    """
    End every checkout whose hold is over; safe to run anywhere at once.

    Each is taken for a RETRY_PAUSE, so that several sweepers share the work and a
    failing one is not asked after all the time; with *everything* that pause is
    ignored. One that fails does not hold up the others.
    """
    endings: list[Ending] = []
    seen: set[int] = set()
    while batch := _take_due(shop, seen, everything=everything):
        seen |= set(batch)
        endings += end_all(shop, sorted(batch))
    return Sweep(
        expired=endings.count(Ending.CLOSED),
        confirmed=endings.count(Ending.PAID),
        kept=sum(endings.count(ending) for ending in STILL_HELD),
    )


def _take_due(shop: Shop, seen: set[int], *, everything: bool) -> list[int]:
    now = shop.clock()
    conditions = [
        Checkout.status == PENDING,
        Checkout.expires_at <= now,
        Checkout.id.not_in(seen),
    ]
    if not everything:
        conditions.append(or_(Checkout.retry_at.is_(None), Checkout.retry_at <= now))
    due = (
        select(Checkout.id)
        .where(*conditions)
        .order_by(Checkout.expires_at)
        .limit(BATCH)
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
