"""Sixteen clients with carts in every order, at the same products and checkouts."""

from collections import Counter

import pytest
from sqlalchemy import func, select

from core.database.engine import Database
from core.models.catalogue import Product
from core.models.orders import Order, OrderLine
from tests.concurrency.random_carts import ENDINGS, shop_at_random
from tests.concurrency.watcher import Watcher, deadlocks
from tests.factories import add_product, assert_invariants

pytestmark = [pytest.mark.slow, pytest.mark.daily_on("postgres")]

SECONDS = 4
PRODUCTS = 8
PLENTY = 1_000_000
SCARCE = 40


def units_sold(database: Database) -> Counter[int]:
    with database.read() as session:
        rows = session.execute(
            select(OrderLine.product_id, func.sum(OrderLine.quantity))
            .join(Order, Order.id == OrderLine.order_id)
            .group_by(OrderLine.product_id)
        )
        return Counter({product_id: int(units) for product_id, units in rows})


def stocks(database: Database) -> Counter[int]:
    with database.read() as session:
        return Counter(dict(session.execute(select(Product.id, Product.stock)).all()))


def test_random_carts_deadlock_nobody_and_lose_no_unit(
    database: Database, database_url: str
) -> None:
    products = [add_product(database, stock_units=PLENTY) for _ in range(PRODUCTS)]
    products.append(add_product(database, stock_units=SCARCE))
    before = stocks(database)

    with Watcher(database_url, seconds=0.5) as watcher:
        tally = shop_at_random(database_url, products, seconds=SECONDS, seed=1)

    assert tally.errors == []
    assert {*ENDINGS, "ended by others", "short"} == tally.counts.keys()
    assert (watcher.looks >= SECONDS, watcher.findings) == (True, [])
    assert deadlocks(database) == 0
    assert units_sold(database) == tally.sold
    assert before - stocks(database) == tally.sold
    assert_invariants(database)
