"""
Thousands of checkouts at two storefronts that share one database, watched all the time.

The holds of one storefront are over within seconds, those of the other outlast the
test, so that units are sold, held, given back and reserved again all at once.
"""

import logging
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.clock import utcnow
from core.database.engine import Database
from core.models.catalogue import Product
from core.models.checkout import CANCELLED, CONFIRMED, EXPIRED, PENDING, Checkout
from core.models.orders import Order
from core.refunds import views as refund_views
from tests.concurrency.conftest import OpenStorefront
from tests.concurrency.shoppers import Street, Visit
from tests.concurrency.watcher import Watcher, deadlocks
from tests.emulator import EmulatorServer
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    eventually,
    levels,
    open_sessions,
)

logger = logging.getLogger(__name__)
pytestmark = pytest.mark.slow

PRODUCTS = 50
STOCK = 60
SHOPPERS = 5000
FEWER_SHOPPERS = 500
AT_ONCE = 24
# What SQLite cannot do in this time is left out; PostgreSQL does it all.
SQLITE_SECONDS = 20
POSTGRES_SECONDS = 300
SHORT_HOLD_MINUTES = "0.1"
OVER_SECONDS = 60
LEAST_LOOKS = 10


def statuses(session: Session) -> dict[int, str]:
    rows = session.execute(select(Checkout.id, Checkout.status)).all()
    return {row[0]: row[1] for row in rows}


def available(session: Session) -> dict[int, int]:
    rows = session.execute(select(Product.id, Product.stock - Product.reserved)).all()
    return {row[0]: row[1] for row in rows}


def sold_sessions(session: Session) -> list[str]:
    return list(session.scalars(select(Order.stripe_session_id)))


def over_soon(session: Session) -> int:
    """Count the open checkouts of the storefront with the short holds."""
    soon = utcnow() + timedelta(minutes=2)
    return session.scalars(
        select(func.count()).where(
            Checkout.status == PENDING, Checkout.expires_at <= soon
        )
    ).one()


def unanswered(stripe: EmulatorServer) -> int:
    return len(stripe.look("webhooks")["waiting"])


def refused_webhooks(stripe: EmulatorServer) -> list[dict[str, object]]:
    attempts = stripe.look("webhooks")["attempts"]
    return [each for each in attempts if each["status"] != 200]


def buy_out(database: Database, street: Street) -> None:
    """Let somebody reserve whatever is left, for long, and others find nothing."""
    for product_id, units in ask(database, available).items():
        if units:
            street.visit(street.urls[1], {product_id: units}, ending="left")
        assert street.check_out(street.urls[1], {product_id: 1}).status == 409


def units_of(visits: list[Visit]) -> Counter[int]:
    units: Counter[int] = Counter()
    for visit in visits:
        units.update(visit.cart)
    return units


def sessions(visits: list[Visit]) -> list[str]:
    return sorted(visit.session_id for visit in visits)


@pytest.mark.daily_on("postgres")
@pytest.mark.parametrize(
    "shoppers", [FEWER_SHOPPERS, pytest.param(SHOPPERS, marks=pytest.mark.long)]
)
def test_under_load_two_storefronts_sell_exactly_what_there_is(
    open_storefront: OpenStorefront,
    database: Database,
    database_url: str,
    stripe: EmulatorServer,
    shoppers: int,
) -> None:
    storefronts = [
        open_storefront(RESERVATION_MINUTES=SHORT_HOLD_MINUTES, WEB_CONCURRENCY="1"),
        open_storefront(WEB_CONCURRENCY="1"),
    ]
    products = [add_product(database, stock_units=STOCK) for _ in range(PRODUCTS)]
    street = Street([each.url for each in storefronts], stripe, products)
    seconds = SQLITE_SECONDS if database.is_sqlite else POSTGRES_SECONDS

    with Watcher(database_url) as watcher:
        street.send(shoppers, at_once=AT_ONCE, seconds=seconds)
        eventually(lambda: unanswered(stripe) == 0, seconds=OVER_SECONDS)
        eventually(lambda: ask(database, over_soon) == 0, seconds=OVER_SECONDS)
        buy_out(database, street)
    for storefront in storefronts:
        storefront.stop()
    logger.info(
        "answers %s, %s looks, longest wait %.0f ms",
        dict(street.statuses),
        watcher.looks,
        street.longest_wait * 1000,
    )

    assert street.errors == []
    assert street.statuses.keys() == {200, 201, 409}
    assert refused_webhooks(stripe) == []
    assert ["Traceback" in each.log.read_text() for each in storefronts] == [False] * 2
    assert (watcher.looks >= LEAST_LOOKS, watcher.findings) == (True, [])
    assert deadlocks(database) == 0
    assert_invariants(database)
    assert_every_unit_is_accounted_for(database, street, stripe)


def assert_every_unit_is_accounted_for(
    database: Database, street: Street, stripe: EmulatorServer
) -> None:
    """Compare what shoppers were told with what the database holds."""
    ended = ask(database, statuses)
    by_status: dict[str, list[Visit]] = {status: [] for status in ended.values()}
    for visit in street.visits:
        by_status[ended.pop(visit.checkout_id)].append(visit)
    sold, held = units_of(by_status[CONFIRMED]), units_of(by_status[PENDING])
    endings = {key: {each.ending for each in by_status[key]} for key in by_status}

    assert ended == {}  # nobody else has a checkout, and nobody has another's
    assert sold + held == dict.fromkeys(street.products, STOCK)
    for product_id in street.products:
        stock, reserved = levels(database, product_id)
        assert (STOCK - sold[product_id], held[product_id]) == (stock, reserved)
    assert endings[CONFIRMED] == {"paid"}
    assert endings[PENDING] == {"left"}
    assert endings[CANCELLED] == {"cancelled"}
    assert endings[EXPIRED] <= {"left", "cancelled", "not paid"}
    assert "left" in endings[EXPIRED]
    assert sorted(ask(database, sold_sessions)) == sessions(by_status[CONFIRMED])
    assert ask(database, refund_views.refunds) == []
    assert sorted(open_sessions(stripe)) == sessions(by_status[PENDING])
