"""The shop's own code, as clients call it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.carts import Carts, new_terms
from benchmarks.clients import Caller, Part
from core.catalogue import products
from core.clock import utcnow
from core.database.engine import Database, Executor, connect
from core.models.checkout import CANCELLED
from core.orders import orders
from core.payments.data import Bill, Payment
from core.stock import reservations
from core.stock.reservations import Closed

End = Callable[[Executor, int], object]


@contextmanager
def opened(url: str) -> Iterator[Database]:
    shop = connect(url)
    yield shop
    shop.engine.dispose()


@dataclass(frozen=True)
class Reserve:
    """Reserve one cart after the other."""

    url: str
    carts: Carts

    @contextmanager
    def callers(self, threads: int, _part: Part) -> Iterator[Sequence[Caller]]:
        with opened(self.url) as shop:
            yield self.callers_of(shop, threads)

    def callers_of(self, shop: Database, threads: int) -> Sequence[Caller]:
        return [partial(self._reserve, shop, new_terms())] * threads

    def _reserve(self, shop: Database, make: Callable[[], Any]) -> None:
        terms, now = make()
        cart = dict.fromkeys(self.carts.draw(), 1)
        shop.write_single(
            lambda session: reservations.reserve(session, cart, terms, now=now)
        )


@dataclass(frozen=True)
class Look:
    """Ask for one product, as every page does."""

    url: str

    @contextmanager
    def callers(self, threads: int, _part: Part) -> Iterator[Sequence[Caller]]:
        with opened(self.url) as shop:
            yield [partial(self._look, shop)] * threads

    def _look(self, shop: Database) -> None:
        with shop.read() as session:
            products.by_ids(session, Carts().draw())


def confirm(session: Executor, checkout_id: int) -> object:
    return orders.confirm(session, checkout_id, payment_of(checkout_id), now=utcnow())


def cancel(session: Executor, checkout_id: int) -> object:
    return reservations.end(
        session, checkout_id, Closed(CANCELLED, "hold over"), now=utcnow()
    )


def payment_of(checkout_id: int) -> Payment:
    name = f"cs_test_{checkout_id:056}"
    bill = Bill(
        subtotal_cents=995,
        total_cents=995,
        currency="eur",
        customer_name="Marijke de Vries",
        customer_email="m@shop.example",
    )
    return Payment(name, name, bill)


@dataclass(frozen=True)
class Ending:
    """End one checkout after the other, each once."""

    url: str
    end: End
    checkout_ids: range

    @contextmanager
    def callers(self, threads: int, part: Part) -> Iterator[Sequence[Caller]]:
        ids = iter(self.checkout_ids[part.number :: part.of])
        with opened(self.url) as shop:
            yield [partial(self._end, shop, ids)] * threads

    def _end(self, shop: Database, ids: Iterator[int]) -> None:
        checkout_id = next(ids)
        if not shop.write_single(lambda session: self.end(session, checkout_id)):
            raise AssertionError(f"checkout {checkout_id} had ended before")
