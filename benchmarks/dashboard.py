"""What the dashboard's overview asks the database, with a large past and a small."""

import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from statistics import median

from benchmarks.load import PRODUCTS, Fill
from benchmarks.measure import Finding, Measure, at_most
from benchmarks.shop import opened
from benchmarks.stand import ENGINES, Stand
from core.clock import utcnow
from core.database.engine import Database
from core.owner import reports

BARS, ROWS = 30, 500  # that the overview shows
LOOKS = 20
FEW = 1_000


def dashboard(stand: Stand) -> Iterator[Finding]:
    """The dashboard's overview with many reservations, beside the same with few."""
    many = stand.sizes.history[-1]
    for engine in ENGINES:
        with (
            stand.database(engine, Fill(live=FEW // 2, old=FEW // 2)) as small,
            stand.database(engine, Fill(live=many, old=many)) as large,
        ):
            contenders: dict[str, Measure] = {
                "large": partial(_millis, large),
                "small": partial(_millis, small),
            }
            taken = stand.in_turn(contenders, what=f"overview on {engine}")
        yield Finding(
            what=f"overview, {PRODUCTS:,} products, {many:,} live and old",
            engine=engine,
            clients="1",
            unit="ms",
            measured=taken["large"],
            floor=f"with {FEW:,}",
            floor_samples=taken["small"],
            target=at_most(2),
        )


def _millis(url: str) -> float:
    with opened(url) as shop:
        _look(shop)
        return 1000 * median(_seconds(shop) for _ in range(LOOKS))


def _seconds(shop: Database) -> float:
    began = time.perf_counter()
    _look(shop)
    return time.perf_counter() - began


def _look(shop: Database) -> None:
    """Ask all that the overview asks when its page is opened."""
    with shop.read() as session:
        reports.totals(session, utcnow() - timedelta(minutes=1))
        reports.attention(session, utcnow())
        reports.stock_levels(session, limit=BARS)
        reports.stock_levels(session, limit=ROWS)
