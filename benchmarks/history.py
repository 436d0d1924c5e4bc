"""What the past costs: the same work on an empty database and on a full one."""

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import peer, shop
from benchmarks.carts import ONE_HOT, ONE_LINE
from benchmarks.clients import ALONE, SIXTEEN, Crowd, Work
from benchmarks.load import Fill
from benchmarks.measure import Finding, Measure, Samples, at_least, at_most
from benchmarks.reserve import PEER, rate_of
from benchmarks.stand import ENGINES, POSTGRESQL, Stand


def history(stand: Stand) -> Iterator[Finding]:
    """Reserve and availability with many live and old reservations in the tables."""
    for engine in ENGINES:
        with ExitStack() as stack:
            urls = {
                count: stack.enter_context(
                    stand.database(engine, Fill(live=count, old=count))
                )
                for count in stand.sizes.history
            }
            for crowd in (ALONE, SIXTEEN):
                reserves: dict[int, Work] = {
                    count: shop.Reserve(url, ONE_LINE) for count, url in urls.items()
                }
                yield from _compare(stand, engine, "reserve", crowd, reserves)
            looks: dict[int, Work] = {
                count: shop.Look(url) for count, url in urls.items()
            }
            yield from _compare(stand, engine, "availability", ALONE, looks)
    yield from _peer(stand)


def _compare(
    stand: Stand, engine: str, what: str, crowd: Crowd, works: dict[int, Work]
) -> Iterator[Finding]:
    contenders: dict[str, Measure] = {
        f"{count:,} live and old": _cost(stand, work, crowd)
        for count, work in works.items()
    }
    taken = stand.in_turn(contenders, what=f"{what}, {crowd} on {engine}")
    empty, *full = taken.items()
    for name, samples in full:
        yield Finding(
            what=f"{what}, {name}",
            engine=engine,
            clients=str(crowd),
            unit="µs",
            measured=samples,
            floor="empty tables",
            floor_samples=empty[1],
            target=at_most(1.2),
        )


def _cost(stand: Stand, work: Work, crowd: Crowd) -> Measure:
    rate = rate_of(stand, work, crowd)
    return lambda: 1_000_000 / rate()


def _peer(stand: Stand) -> Iterator[Finding]:
    """A hot product with as many live reservations as there are."""
    live = stand.sizes.history[-1]
    with stand.database(POSTGRESQL, Fill(live=live, is_hot=True)) as url:
        for crowd in (ALONE, SIXTEEN):
            contenders: dict[str, Measure] = {
                "shop": rate_of(stand, shop.Reserve(url, ONE_HOT), crowd),
                PEER: rate_of(stand, peer.Reserve(url, ONE_HOT), crowd),
            }
            what = f"reserve, {ONE_HOT}, {live:,} live"
            taken: dict[str, Samples] = stand.in_turn(
                contenders, what=f"{what}, {crowd}"
            )
            yield Finding(
                what=what,
                engine=POSTGRESQL,
                clients=str(crowd),
                unit="/s",
                measured=taken["shop"],
                floor=PEER,
                floor_samples=taken[PEER],
                target=at_least(50),
            )
