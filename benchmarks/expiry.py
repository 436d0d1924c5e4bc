"""Expiry of many: what a row costs, and whether shoppers notice."""

import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, bindparam, select, text
from sqlalchemy.orm import Session

from benchmarks.carts import ONE_LINE
from benchmarks.clients import SIXTEEN, Caller, Outcome, Part, Threads, Work
from benchmarks.load import Fill
from benchmarks.measure import (
    Finding,
    Measure,
    Samples,
    at_least,
    at_most,
    percentile,
)
from benchmarks.shop import Reserve, opened
from benchmarks.stand import ENGINES, Stand
from core.checkout.expiry import BATCH
from core.clock import utcnow
from core.database.engine import Database
from core.models.base import UtcDateTime
from core.models.checkout import EXPIRED, PENDING, Checkout
from core.stock import reservations
from core.stock.reservations import Closed

FLAT_FROM = 10_000
# What the database does best. The shop has no more than its own BATCH at once: Stripe
# answers for each checkout by itself.
LARGE_BATCH = 1_000
ONE_STATEMENT = "one statement"
QUIET, SWEPT = "without the sweep", "with the sweep"


@dataclass(frozen=True)
class Batches:
    """Expire so many with the shop's own statements, a batch at a time."""

    url: str
    rows: int
    batch: int

    def run(self, part: Part) -> Outcome:
        with opened(self.url) as shop:
            part.start()
            ended, began = 0, time.perf_counter()
            while ended < self.rows:
                done = _expire_batch(shop, min(self.batch, self.rows - ended))
                if not done:
                    raise AssertionError(f"only {ended} of {self.rows} were due")
                ended += done
            return Outcome(array("d"), began, time.perf_counter())


def _expire_batch(shop: Database, most: int) -> int:
    with shop.read() as session:
        ids = session.scalars(
            select(Checkout.id)
            .where(*_is_due())
            .order_by(Checkout.expires_at)
            .limit(most)
        ).all()
    ended = shop.write_single(
        lambda session: reservations.end_all(
            session, ids, Closed(EXPIRED, "hold over"), now=utcnow()
        )
    )
    return len(ended)


def _is_due() -> tuple[ColumnElement[bool], ...]:
    """What was loaded has a day to go: let that day be over."""
    return (
        Checkout.status == PENDING,
        Checkout.expires_at <= utcnow() + timedelta(days=2),
    )


@dataclass(frozen=True)
class AtOnce:
    """Expire so many with one statement over all of them, written by hand."""

    url: str
    rows: int

    def run(self, part: Part) -> Outcome:
        with opened(self.url) as shop:
            with shop.read() as session:
                until = session.scalars(
                    select(Checkout.expires_at)
                    .where(*_is_due())
                    .order_by(Checkout.expires_at)
                    .offset(self.rows - 1)
                    .limit(1)
                ).one()
            part.start()
            began = time.perf_counter()
            ended = shop.write(partial(_expire_at_once, until=until))
            outcome = Outcome(array("d"), began, time.perf_counter())
        # Some have their deadline in the same millisecond.
        if abs(ended - self.rows) > self.rows / 100:
            raise AssertionError(f"{ended} were expired, not {self.rows}")
        return outcome


POSTGRESQL_AT_ONCE = (
    """WITH taken AS (
           UPDATE checkout SET status = 'EXPIRED', cause = 'hold over',
                               closed_at = now(), awaits_payment = false,
                               is_unpaid = true
           WHERE status = 'PENDING' AND expires_at <= :until RETURNING id
       ), closed AS (
           UPDATE stock_reservation SET status = 'EXPIRED'
           FROM taken WHERE checkout_id = taken.id RETURNING product_id, quantity
       ), units AS (
           SELECT product_id, sum(quantity) AS quantity FROM closed GROUP BY product_id
       ), freed AS (
           UPDATE product SET reserved = reserved - units.quantity
           FROM units WHERE product.id = units.product_id
       )
       SELECT count(*) FROM taken""",
)
# SQLite has no statement that changes three tables: these are the fewest.
SQLITE_AT_ONCE = (
    """UPDATE product SET reserved = reserved - units.quantity
       FROM (SELECT product_id, sum(quantity) AS quantity FROM stock_reservation
             WHERE status = 'PENDING' AND expires_at <= :until
             GROUP BY product_id) AS units
       WHERE product.id = units.product_id""",
    """UPDATE stock_reservation SET status = 'EXPIRED'
       WHERE status = 'PENDING' AND expires_at <= :until""",
    """UPDATE checkout SET status = 'EXPIRED', cause = 'hold over',
                           closed_at = current_timestamp, awaits_payment = false,
                           is_unpaid = true
       WHERE status = 'PENDING' AND expires_at <= :until""",
    "SELECT changes()",
)


def _expire_at_once(session: Session, *, until: datetime) -> int:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    *changes, counted = SQLITE_AT_ONCE if is_sqlite else POSTGRESQL_AT_ONCE
    deadline = bindparam("until", until, UtcDateTime())
    for change in changes:
        session.execute(text(change).bindparams(deadline))
    last = text(counted)
    return int(session.scalars(last if changes else last.bindparams(deadline)).one())


def expiry(stand: Stand) -> Iterator[Finding]:
    """Expiry in batches, beside one statement over all; what shoppers notice of it."""
    for engine in ENGINES:
        yield from _cost(stand, engine)
        yield _waits(stand, engine)


def _cost(stand: Stand, engine: str) -> Iterator[Finding]:
    most = stand.sizes.overdue[-1]
    batches = [(count, LARGE_BATCH) for count in stand.sizes.overdue] + [(most, BATCH)]
    with ExitStack() as stack:

        def rate(count: int, batch: int | None) -> Measure:
            fill, rows = _portions(stand, count)
            url = stack.enter_context(stand.database(engine, fill))
            load = Batches(url, rows, batch) if batch else AtOnce(url, rows)
            return partial(_rate, stand, load)

        taken = stand.in_turn(
            {
                **{_named(*each): rate(*each) for each in batches},
                **{_named(n): rate(n, None) for n in stand.sizes.overdue},
            },
            what=f"expire on {engine}",
        )
    for count, batch in batches:
        yield Finding(
            what=f"expire {_told(stand, count)} in batches of {batch:,}",
            engine=engine,
            clients="1",
            unit="rows/s",
            measured=taken[_named(count, batch)],
            floor=ONE_STATEMENT,
            floor_samples=taken[_named(count)],
            target=at_least(0.25) if (count, batch) == (most, LARGE_BATCH) else None,
        )
    yield Finding(
        what=f"expire, cost of one of {most:,}",
        engine=engine,
        clients="1",
        unit="µs",
        measured=_micros(taken[_named(most, LARGE_BATCH)]),
        floor=f"one of {FLAT_FROM:,}",
        floor_samples=_micros(taken[_named(FLAT_FROM, LARGE_BATCH)]),
        target=at_most(1.2),
    )


def _named(count: int, batch: int | None = None) -> str:
    return f"{count:,} in {f'batches of {batch:,}' if batch else ONE_STATEMENT}"


def _portions(stand: Stand, count: int) -> tuple[Fill, int]:
    """
    Return what is overdue at first, and how many of it each round expires.

    Of the most, which are those of the database that the history is measured in, too, a
    round expires a part; of fewer there are enough for each round to expire them all.
    """
    if count == stand.sizes.overdue[-1]:
        return Fill(live=count, old=count), stand.sizes.part_of_most
    return Fill(live=stand.sizes.rounds * count), count


def _told(stand: Stand, count: int) -> str:
    rows = _portions(stand, count)[1]
    return f"{count:,}" if rows == count else f"{rows:,} of {count:,}"


def _rate(stand: Stand, load: Batches | AtOnce) -> float:
    outcome = stand.clients.run(load)
    return load.rows / (outcome.ended - outcome.began)


def _micros(rates: Samples) -> Samples:
    return Samples(tuple(1_000_000 / rate for rate in rates.values))


@dataclass(frozen=True)
class Swept:
    """Shoppers, and a sweep in a thread beside them that has their database, too."""

    work: Reserve

    @contextmanager
    def callers(self, threads: int, _part: Part) -> Iterator[Sequence[Caller]]:
        with opened(self.work.url) as shop:
            sweep = _Sweep(shop)
            sweep.start()
            try:
                yield self.work.callers_of(shop, threads)
            finally:
                sweep.stop()


class _Sweep(threading.Thread):
    def __init__(self, shop: Database) -> None:
        super().__init__(daemon=True)
        self.shop = shop
        self.halted = threading.Event()
        self.is_short = False

    def run(self) -> None:
        while not self.halted.is_set():
            if not _expire_batch(self.shop, BATCH):
                self.is_short = True
                return

    def stop(self) -> None:
        self.halted.set()
        self.join()
        if self.is_short:
            raise AssertionError("the sweep had nothing left to do")


def _waits(stand: Stand, engine: str) -> Finding:
    most = stand.sizes.overdue[-1]
    with stand.database(engine, Fill(live=most, old=most)) as url:
        shoppers = Reserve(url, ONE_LINE)

        def p99(work: Work) -> float:
            load = Threads(work, SIXTEEN.threads, 2 * stand.sizes.seconds)
            return 1000 * percentile(stand.clients.run(load).durations, 0.99)

        taken = stand.in_turn(
            {
                QUIET: partial(p99, shoppers),
                SWEPT: partial(p99, Swept(shoppers)),
            },
            what=f"shoppers on {engine}",
        )
    return Finding(
        what=f"shoppers' p99 {SWEPT}",
        engine=engine,
        clients=str(SIXTEEN),
        unit="ms",
        measured=taken[SWEPT],
        floor=QUIET,
        floor_samples=taken[QUIET],
        target=at_most(2),
    )
