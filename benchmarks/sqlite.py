"""SQLite, which keeps what it has acknowledged, beside the raw module."""

from collections.abc import Iterator
from functools import partial
from itertools import count

from benchmarks import raw_sqlite, shop
from benchmarks.carts import ONE_HOT, ONE_LINE, THREE_LINES, Carts
from benchmarks.clients import ALONE, CROWDS, SIXTEEN, Crowd
from benchmarks.load import Fill
from benchmarks.measure import (
    Finding,
    Measure,
    Samples,
    Target,
    at_least,
    at_most,
    exactly,
)
from benchmarks.reserve import rate_of
from benchmarks.stand import SQLITE, Stand

RAW = "raw sqlite3, 1 thread"
LONGEST_WAIT_MS = 100
TARGETS: dict[Crowd, Target] = {ALONE: at_least(0.6), SIXTEEN: at_least(0.9)}


def reserve(stand: Stand) -> Iterator[Finding]:
    """SQLite: reserve beside the raw module, and the longest wait of 16 threads."""
    for carts in (ONE_LINE, ONE_HOT, THREE_LINES):
        with stand.database(SQLITE, Fill()) as url:
            yield from _reserve(stand, url, carts)


def _reserve(stand: Stand, url: str, carts: Carts) -> Iterator[Finding]:
    waits: list[float] = []

    def sixteen() -> float:
        outcome = stand.clients.crowd(
            shop.Reserve(url, carts), SIXTEEN, stand.sizes.seconds
        )
        waits.append(1000 * max(outcome.durations))
        return outcome.rate

    what = f"reserve, {carts}"
    contenders: dict[str, Measure] = {
        RAW: rate_of(stand, raw_sqlite.Reserve(url, carts), ALONE),
        **{
            str(crowd): rate_of(stand, shop.Reserve(url, carts), crowd)
            for crowd in CROWDS
        },
        str(SIXTEEN): sixteen,
    }
    taken = stand.in_turn(contenders, what=f"{what} on {SQLITE}")
    for crowd in CROWDS:
        yield _finding(
            what,
            crowd,
            taken[str(crowd)],
            taken[RAW],
            TARGETS.get(crowd) if carts == ONE_LINE else None,
        )
    yield Finding(
        what=f"{what}, longest wait",
        engine=SQLITE,
        clients=str(SIXTEEN),
        unit="ms",
        measured=Samples(tuple(waits)),
        floor=f"{LONGEST_WAIT_MS} ms",
        floor_samples=exactly(LONGEST_WAIT_MS),
        target=at_most(1),
    )


def _finding(
    what: str, crowd: Crowd, measured: Samples, raw: Samples, target: Target | None
) -> Finding:
    return Finding(
        what=what,
        engine=SQLITE,
        clients=str(crowd),
        unit="/s",
        measured=measured,
        floor=RAW,
        floor_samples=raw,
        target=target,
    )


ENDS = {
    "confirm": (shop.confirm, raw_sqlite.CONFIRM),
    "cancel": (shop.cancel, raw_sqlite.CANCEL),
}


def end(stand: Stand) -> Iterator[Finding]:
    """SQLite: confirm and cancel beside the raw module."""
    fill = Fill(live=4 * stand.sizes.rounds * stand.sizes.supply)
    for what in ENDS:
        with stand.database(SQLITE, fill) as url:
            yield from _end(stand, url, what)


def _end(stand: Stand, url: str, what: str) -> Iterator[Finding]:
    ending, statements = ENDS[what]
    portion = stand.sizes.supply
    portions = (range(first, first + portion) for first in count(1, portion))

    def ours(crowd: Crowd) -> float:
        work = shop.Ending(url, ending, next(portions))
        return rate_of(stand, work, crowd)()

    def raw() -> float:
        work = raw_sqlite.Ending(url, statements, next(portions))
        return rate_of(stand, work, ALONE)()

    contenders: dict[str, Measure] = {
        str(crowd): partial(ours, crowd) for crowd in CROWDS
    }
    taken = stand.in_turn({RAW: raw, **contenders}, what=f"{what} on {SQLITE}")
    for crowd in CROWDS:
        yield _finding(what, crowd, taken[str(crowd)], taken[RAW], None)
