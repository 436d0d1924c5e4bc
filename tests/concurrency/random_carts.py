"""
Clients in processes of their own, who reserve random carts and let chance end them.

Each cart has three products in random order. Some checkouts are sold, some cancelled,
some expired by themselves, and some in a batch with whatever others have just reserved,
so that clients meet at checkouts as well as at products.
"""

import multiprocessing
import random
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.queues import Queue

from core.clock import utcnow
from core.database.engine import Database, connect
from core.errors import InsufficientStockError
from core.models.checkout import CANCELLED, EXPIRED
from core.orders import orders
from core.payments.data import Payment
from core.stock import reservations
from core.stock.reservations import Closed, Reserved
from tests.factories import payment_of, terms

PROCESSES = 2
THREADS = 8
LINES = 3
MOST_UNITS = 3
# As many checkouts before the own one may end with it.
BATCH = 12
ENDINGS = ("sold", "cancelled", "expired", "expired in a batch", "left")


@dataclass
class Tally:
    """What clients were told: how often what happened, units sold, and errors."""

    counts: Counter[str] = field(default_factory=Counter)
    sold: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.counts.update(other.counts)
        self.sold.update(other.sold)
        self.errors += other.errors


def shop_at_random(
    database_url: str, products: Sequence[int], *, seconds: float, seed: int
) -> Tally:
    """Let all clients shop for *seconds*; return what they were told."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    results: Queue[Tally] = context.Queue()
    parts = [
        context.Process(
            target=_shop,
            args=(database_url, tuple(products), seconds, seed + number, results),
            daemon=True,
        )
        for number in range(PROCESSES)
    ]
    for part in parts:
        part.start()
    together = Tally()
    for _ in parts:
        together.add(results.get(timeout=60 + 10 * seconds))
    for part in parts:
        part.join(60)
    results.close()
    return together


def _shop(
    database_url: str,
    products: Sequence[int],
    seconds: float,
    seed: int,
    results: "Queue[Tally]",
) -> None:
    database = connect(database_url)
    together = Tally()
    with ThreadPoolExecutor(THREADS) as threads:
        clients = [
            _Client(database, products, f"{seed} {number}") for number in range(THREADS)
        ]
        for tally in threads.map(lambda client: client.shop_for(seconds), clients):
            together.add(tally)
    database.engine.dispose()
    results.put(together)


class _Client:
    def __init__(self, database: Database, products: Sequence[int], seed: str) -> None:
        self.database, self.products = database, products
        self.chance = random.Random(seed)  # noqa: S311 (no secret)
        self.tally = Tally()

    def shop_for(self, seconds: float) -> Tally:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                self._shop_once()
            except InsufficientStockError:
                self.tally.counts["short"] += 1
            except Exception:
                self.tally.errors.append(traceback.format_exc())
        return self.tally

    def _shop_once(self) -> None:
        now = utcnow()
        agreed = terms(now)
        cart = {
            product: self.chance.randint(1, MOST_UNITS)
            for product in self.chance.sample(self.products, LINES)
        }
        reserved = self.database.write_single(
            lambda executor: reservations.reserve(executor, cart, agreed, now=now)
        )
        ending = self.chance.choice(ENDINGS)
        if self._end(reserved, ending, now):
            self.tally.counts[ending] += 1
            if ending == "sold":
                self.tally.sold.update(cart)
        else:
            self.tally.counts["ended by others"] += 1

    def _end(self, reserved: Reserved, ending: str, now: datetime) -> bool:
        number = reserved.checkout_id
        write = self.database.write_single
        if ending == "sold":
            payment = _payment(reserved)
            return write(lambda e: orders.confirm(e, number, payment, now=now))
        if ending == "cancelled":
            return write(
                lambda e: reservations.end(e, number, Closed(CANCELLED, ""), now=now)
            )
        if ending == "expired":
            return write(
                lambda e: reservations.end(e, number, Closed(EXPIRED, ""), now=now)
            )
        if ending == "expired in a batch":
            batch = [*range(max(1, number - BATCH), number + 1)]
            self.chance.shuffle(batch)
            return number in write(
                lambda e: reservations.end_all(e, batch, Closed(EXPIRED, ""), now=now)
            )
        return True


def _payment(reserved: Reserved) -> Payment:
    cents = sum(line.quantity * line.unit_price_cents for line in reserved.lines)
    session_id = f"cs_test_{reserved.checkout_id}"
    return payment_of(session_id, cents=cents, intent=f"pi_{reserved.checkout_id}")
