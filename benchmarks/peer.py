"""
The peer pattern: take the row, add up what is held, insert through the ORM.

So reserve WooCommerce (`FOR UPDATE`, a SUM over live reservations) and Saleor (row
locks and objects). Written as they would with the shop's own tables, and correct on
PostgreSQL: only its cost differs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.carts import Carts, new_terms
from benchmarks.clients import Caller, Part
from core.models.catalogue import Product
from core.models.checkout import PENDING, Checkout
from core.models.stock import StockReservation
from core.stock.reservations import Terms

# Without it the SUM would read all that is held; the shop itself needs no such index.
INDEX = """
    CREATE INDEX IF NOT EXISTS of_the_peers
    ON stock_reservation (product_id, expires_at) WHERE status = 'PENDING'
"""


def reserve(
    session: Session, product_ids: Sequence[int], terms: Terms, now: datetime
) -> None:
    checkout = Checkout(**asdict(terms), created_at=now)
    session.add(checkout)
    session.flush()
    for product_id in sorted(product_ids):
        product = session.scalars(
            select(Product).where(Product.id == product_id).with_for_update()
        ).one()
        if product.stock - _held(session, product_id, now) < 1:
            raise AssertionError(f"product {product_id} is short")
        session.add(
            StockReservation(
                checkout_id=checkout.id,
                product_id=product.id,
                quantity=1,
                unit_price_cents=product.price_cents,
                currency=product.currency,
                vat_bp=product.vat_bp,
                product_name=product.name,
                expires_at=terms.expires_at,
            )
        )


def _held(session: Session, product_id: int, now: datetime) -> int:
    return session.scalars(
        select(func.coalesce(func.sum(StockReservation.quantity), 0)).where(
            StockReservation.product_id == product_id,
            StockReservation.status == PENDING,
            StockReservation.expires_at > now,
        )
    ).one()


@dataclass(frozen=True)
class Reserve:
    """What shop.Reserve does, in the peer pattern."""

    url: str
    carts: Carts

    @contextmanager
    def callers(self, threads: int, _part: Part) -> Iterator[Sequence[Caller]]:
        engine = create_engine(self.url, pool_size=threads)
        make = new_terms()
        work = partial(self._reserve, sessionmaker(engine), make)
        _do(engine, INDEX)
        try:
            yield [work] * threads
        finally:
            _do(engine, "DROP INDEX of_the_peers")
            engine.dispose()

    def _reserve(
        self,
        sessions: sessionmaker[Session],
        make: Callable[[], tuple[Terms, datetime]],
    ) -> None:
        terms, now = make()
        with sessions.begin() as session:
            reserve(session, self.carts.draw(), terms, now)


def _do(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
