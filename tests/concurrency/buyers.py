"""
Buyers in processes of their own, each with several threads, in step with each other.

All of them try as often as there are rounds, and stand at one gate twice a round: where
a round begins, and where a naive way has read and not yet written. So it is no luck
that the naive ways meet.
"""

import multiprocessing
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.orm import Session

from core.clock import utcnow
from core.database.engine import Database, connect
from core.errors import InsufficientStockError
from core.models.catalogue import Product
from core.models.checkout import Checkout
from core.models.stock import StockReservation
from core.stock import reservations
from tests.factories import terms

PROCESSES = 3
THREADS = 4
BUYERS = PROCESSES * THREADS
# Only a rig that is broken lets a buyer wait this long for the others.
GATE_SECONDS = 60.0

Cart = Mapping[int, int]
Way = Callable[[Database, Cart, Callable[[], object]], bool]


def by_the_rule(database: Database, cart: Cart, gate: Callable[[], object]) -> bool:
    """Reserve as the shop does; there is nothing between its check and its change."""
    gate()
    now = utcnow()
    agreed = terms(now)
    try:
        database.write(
            lambda session: reservations.reserve(session, cart, agreed, now=now)
        )
    except InsufficientStockError:
        return False
    return True


def by_read_then_write(
    database: Database, cart: Cart, gate: Callable[[], object]
) -> bool:
    """Look whether there is enough, then write down what is reserved."""
    ((product_id, quantity),) = cart.items()
    with database.read() as session:
        seen = session.get_one(Product, product_id)
    gate()
    if seen.stock - seen.reserved < quantity:
        return False
    database.write(lambda session: _note(session, seen, quantity))
    return True


def by_for_update(database: Database, cart: Cart, gate: Callable[[], object]) -> bool:
    """Do the same in one transaction of an engine with no settings, FOR UPDATE."""
    ((product_id, quantity),) = cart.items()
    engine = create_engine(database.engine.url, connect_args={"timeout": GATE_SECONDS})
    with Session(engine) as session, session.begin():
        query = select(Product).where(Product.id == product_id).with_for_update()
        seen = session.scalars(query).one()
        gate()
        is_enough = seen.stock - seen.reserved >= quantity
        if is_enough:
            _note(session, seen, quantity)
    engine.dispose()
    return is_enough


def _note(session: Session, seen: Product, quantity: int) -> None:
    session.execute(
        update(Product)
        .where(Product.id == seen.id)
        .values(reserved=seen.reserved + quantity)
        .execution_options(synchronize_session=False)
    )
    now = utcnow()
    agreed = terms(now)
    checkout_id = session.execute(
        insert(Checkout)
        .values(
            visitor=agreed.visitor,
            idempotency_key=agreed.idempotency_key,
            expires_at=agreed.expires_at,
            stripe_expires_at=agreed.stripe_expires_at,
            created_at=now,
        )
        .returning(Checkout.id)
    ).scalar_one()
    session.execute(
        insert(StockReservation).values(
            checkout_id=checkout_id,
            product_id=seen.id,
            quantity=quantity,
            unit_price_cents=seen.price_cents,
            currency=seen.currency,
            vat_bp=seen.vat_bp,
            product_name=seen.name,
            expires_at=agreed.expires_at,
        )
    )


@dataclass(frozen=True)
class Task:
    """Buyer number n tries cart n (of as many as there are) in every round."""

    database_url: str
    carts: tuple[dict[int, int], ...]
    way: Way
    rounds: int


@dataclass(frozen=True)
class Sales:
    """How often *tries* succeeded, and the errors that reached anybody."""

    sold: int
    errors: tuple[str, ...]


def sell(
    url: str,
    *carts: dict[int, int],
    rounds: int,
    way: Way = by_the_rule,
) -> Sales:
    """Let all buyers try *rounds* times each, all in step; tell what came of it."""
    # Its server imports once what each of the processes would import.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    gate = context.Barrier(BUYERS, timeout=GATE_SECONDS)
    results: Queue[Sales] = context.Queue()
    task = Task(url, carts, way, rounds)
    processes = [
        context.Process(target=_buy, args=(task, number, gate, results), daemon=True)
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    sales = [results.get(timeout=2 * GATE_SECONDS) for _ in processes]
    for process in processes:
        process.join(GATE_SECONDS)
    results.close()
    return Sales(
        sum(each.sold for each in sales),
        tuple(error for each in sales for error in each.errors),
    )


def _buy(task: Task, process: int, gate: Barrier, results: "Queue[Sales]") -> None:
    database = connect(task.database_url)

    def buy(thread: int) -> Sales:
        cart = task.carts[(process * THREADS + thread) % len(task.carts)]
        sold = 0
        try:
            for _ in range(task.rounds):
                gate.wait()
                sold += task.way(database, cart, gate.wait)
        except Exception:
            # The others would wait for this buyer for ever.
            gate.abort()
            return Sales(sold, (traceback.format_exc(),))
        return Sales(sold, ())

    with ThreadPoolExecutor(THREADS) as threads:
        each = list(threads.map(buy, range(THREADS)))
    database.engine.dispose()
    errors = tuple(error for sales in each for error in sales.errors)
    results.put(Sales(sum(sales.sold for sales in each), errors))
