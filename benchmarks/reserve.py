"""Reserve on PostgreSQL, and what ends a reservation, against the bare statements."""

from collections.abc import Iterator
from itertools import count

from benchmarks import floors, peer, shop
from benchmarks.carts import ONE_HOT, ONE_LINE, THREE_LINES, Carts
from benchmarks.clients import (
    ALONE,
    CROWDS,
    SIXTEEN,
    TWO_BY_EIGHT,
    Crowd,
    Work,
)
from benchmarks.load import Fill
from benchmarks.measure import Finding, Measure, Target, at_least
from benchmarks.stand import POSTGRESQL, Stand, pgbench
from core.stock import postgres

BARE, PGBENCH, PEER = "bare driver", "pgbench", "peer pattern"
TARGETS: dict[tuple[Carts, Crowd], Target] = {
    (ONE_LINE, ALONE): at_least(0.55),
    (ONE_LINE, TWO_BY_EIGHT): at_least(0.35),
    (ONE_HOT, SIXTEEN): at_least(0.85),
    (THREE_LINES, TWO_BY_EIGHT): at_least(0.25),
}


def reserve(stand: Stand) -> Iterator[Finding]:
    """PostgreSQL: reserve one line, spread and on one hot product, and three lines."""
    for carts in (ONE_LINE, ONE_HOT, THREE_LINES):
        with stand.database(POSTGRESQL, Fill()) as url:
            for crowd in CROWDS:
                yield from _reserve(stand, url, carts, crowd)


def _reserve(stand: Stand, url: str, carts: Carts, crowd: Crowd) -> Iterator[Finding]:
    what = f"reserve, {carts}"
    script = floors.reserve_script(stand.folder / "reserve.sql", carts)
    contenders: dict[str, Measure] = {
        "shop": rate_of(stand, shop.Reserve(url, carts), crowd),
        BARE: rate_of(stand, floors.Reserve(url, carts), crowd),
        PGBENCH: lambda: pgbench(
            url, script, clients=crowd.clients, seconds=stand.sizes.seconds
        ),
    }
    if crowd == SIXTEEN:
        contenders[PEER] = rate_of(stand, peer.Reserve(url, carts), crowd)
    taken = stand.in_turn(contenders, what=f"{what}, {crowd}")
    for floor in list(contenders)[1:]:
        yield Finding(
            what=what,
            engine=POSTGRESQL,
            clients=str(crowd),
            unit="/s",
            measured=taken["shop"],
            floor=floor,
            floor_samples=taken[floor],
            target=None if floor == PEER else TARGETS.get((carts, crowd)),
        )


def rate_of(stand: Stand, work: Work, crowd: Crowd) -> Measure:
    return lambda: stand.clients.crowd(work, crowd, stand.sizes.seconds).rate


ENDS: dict[str, tuple[shop.End, str, floors.Values]] = {
    "confirm": (shop.confirm, postgres.CONFIRM, floors.sale),
    "cancel": (shop.cancel, postgres.END, floors.cancellation),
}


def end(stand: Stand) -> Iterator[Finding]:
    """PostgreSQL: confirm and cancel; to expire one is the same as to cancel it."""
    portion = stand.sizes.supply
    fill = Fill(live=2 * stand.sizes.rounds * portion)
    for what in ENDS:
        for crowd in CROWDS:
            with stand.database(POSTGRESQL, fill) as url:
                yield _end(stand, url, what, crowd)


def _end(stand: Stand, url: str, what: str, crowd: Crowd) -> Finding:
    ending, statement, values = ENDS[what]
    portion = stand.sizes.supply
    portions = (range(first, first + portion) for first in count(1, portion))
    taken = stand.in_turn(
        {
            "shop": lambda: rate_of(
                stand, shop.Ending(url, ending, next(portions)), crowd
            )(),
            BARE: lambda: rate_of(
                stand, floors.Ending(url, statement, values, next(portions)), crowd
            )(),
        },
        what=f"{what}, {crowd}",
    )
    return Finding(
        what=what,
        engine=POSTGRESQL,
        clients=str(crowd),
        unit="/s",
        measured=taken["shop"],
        floor=BARE,
        floor_samples=taken[BARE],
    )
