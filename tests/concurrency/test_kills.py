"""
Processes killed with -9, wherever they stand.

Afterwards the counters are right, nothing stays held, and nobody is left with a payment
page whose units were given back. Stripe's barriers make a worker stand at one place.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException

import pytest
from sqlalchemy import func, select

from core.database.engine import Database
from core.models.catalogue import Product
from core.models.checkout import EXPIRED, PENDING, Checkout
from tests.concurrency.conftest import OpenStorefront
from tests.concurrency.rush import Answer, answers, rush
from tests.emulator import EmulatorServer
from tests.factories import (
    add_product,
    assert_invariants,
    eventually,
    levels,
    open_sessions,
    orders_of,
    sessions_at,
    status_of,
)
from tests.storefront_server import StorefrontServer

pytestmark = [pytest.mark.slow, pytest.mark.daily_on("postgres")]

# What a killed sweeper had taken is tried again after a pause.
OVER_SECONDS = 60
RUSH = 100
# Nothing came, or only a part of an answer.
BROKEN_OFF = (ConnectionError, HTTPException)
Outcomes = Sequence[Answer | Exception]


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Give a thread for the shoppers, while the test does harm."""
    with ThreadPoolExecutor(1) as threads:
        yield threads


def held(database: Database) -> tuple[int, int]:
    """Count the PENDING checkouts and the reserved units."""
    with database.read() as session:
        pending = select(func.count()).where(Checkout.status == PENDING)
        units = select(func.coalesce(func.sum(Product.reserved), 0))
        return session.scalars(pending).one(), session.scalars(units).one()


def assert_all_over(database: Database, stripe: EmulatorServer) -> None:
    """Wait until nothing is held, then look whether everything is as it must be."""
    eventually(lambda: held(database) == (0, 0), seconds=OVER_SECONDS)

    assert open_sessions(stripe) == []
    assert_invariants(database)


def rush_aside(
    aside: ThreadPoolExecutor, storefront: StorefrontServer, product_id: int
) -> "Future[list[Answer | Exception]]":
    return aside.submit(rush, storefront.url, [{product_id: 1}] * RUSH)


def asked(stripe: EmulatorServer, method: str, path: str) -> int:
    return sum(row["method"] == method for row in stripe.requests(path))


def wait_for_creates(stripe: EmulatorServer, count: int) -> None:
    eventually(lambda: asked(stripe, "POST", "/v1/checkout/sessions") >= count)


def assert_broken_off(outcomes: Outcomes) -> None:
    """Some shoppers lost their connection: it was killed in the middle."""
    broken = [each for each in outcomes if isinstance(each, BROKEN_OFF)]
    assert broken
    assert len(broken) + len(answers(outcomes)) == len(outcomes)


def wait_for_new_worker(storefront: StorefrontServer, killed: int, count: int) -> None:
    def is_back() -> bool:
        pids = storefront.worker_pids()
        return killed not in pids and len(pids) == count

    eventually(is_back)


def test_a_worker_killed_in_a_rush_leaves_nothing_held(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    aside: ThreadPoolExecutor,
) -> None:
    # Of two workers one may have taken all connections, and it could be the other.
    storefront = open_storefront(RESERVATION_MINUTES="0.1", WEB_CONCURRENCY="1")
    mug = add_product(database, stock_units=40)
    stripe.fault("create", "slow", seconds=0.5, times=0)

    shoppers = rush_aside(aside, storefront, mug)
    wait_for_creates(stripe, 10)
    killed = storefront.worker_pids()[0]
    storefront.kill_worker(killed)
    outcomes = shoppers.result()

    assert_broken_off(outcomes)
    assert {each.status for each in answers(outcomes)} <= {201, 409}
    wait_for_new_worker(storefront, killed, 1)
    assert_all_over(database, stripe)
    assert levels(database, mug) == (40, 0)


def test_killing_everything_in_a_rush_leaves_nothing_held_after_a_restart(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    aside: ThreadPoolExecutor,
) -> None:
    storefront = open_storefront(RESERVATION_MINUTES="0.1")
    mug = add_product(database, stock_units=40)
    stripe.fault("create", "slow", seconds=0.5, times=0)

    shoppers = rush_aside(aside, storefront, mug)
    wait_for_creates(stripe, 10)
    storefront.kill()
    assert_broken_off(shoppers.result())
    held_at_death = held(database)
    storefront.start()

    assert held_at_death > (0, 0)
    assert_all_over(database, stripe)
    assert levels(database, mug) == (40, 0)


@pytest.mark.usefixtures("silent_stripe")
@pytest.mark.parametrize("after", [False, True], ids=["unmade", "made"])
def test_a_worker_killed_while_stripe_makes_the_page_leaves_nothing_held(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    aside: ThreadPoolExecutor,
    after: bool,
) -> None:
    storefront = open_storefront(RESERVATION_MINUTES="0.05", WEB_CONCURRENCY="1")
    mug = add_product(database)
    stripe.barrier("create", after=after)

    shopper = aside.submit(rush, storefront.url, [{mug: 1}])
    stripe.wait_for_waiter("create")
    (killed,) = storefront.worker_pids()
    storefront.kill_worker(killed)
    assert_broken_off(shopper.result())
    assert len(sessions_at(stripe)) == int(after)
    assert held(database) == (1, 1)
    stripe.release("create")

    assert_all_over(database, stripe)
    assert len(sessions_at(stripe)) == 1
    wait_for_new_worker(storefront, killed, 1)


@pytest.mark.usefixtures("silent_stripe")
def test_a_page_that_stripe_makes_after_the_hold_is_closed_all_the_same(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    aside: ThreadPoolExecutor,
) -> None:
    storefront = open_storefront(RESERVATION_MINUTES="0.05", WEB_CONCURRENCY="1")
    mug = add_product(database)
    stripe.barrier("create")

    shopper = aside.submit(rush, storefront.url, [{mug: 1}])
    stripe.wait_for_waiter("create")
    storefront.kill_worker(storefront.worker_pids()[0])
    assert_broken_off(shopper.result())
    # The sweep asks for the page, then looks for it: there is none as yet.
    eventually(lambda: asked(stripe, "GET", "/v1/checkout/sessions") > 0)
    assert held(database) == (1, 1)
    stripe.release("create")

    assert_all_over(database, stripe)
    assert list(sessions_at(stripe).values()) == ["expired"]


@pytest.mark.usefixtures("silent_stripe")
def test_a_worker_killed_while_it_closes_pages_leaves_nothing_held(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> None:
    storefront = open_storefront(RESERVATION_MINUTES="0.05", WEB_CONCURRENCY="1")
    mug = add_product(database)
    pages = [each.body for each in answers(rush(storefront.url, [{mug: 1}] * 2))]
    # One page is still open when the worker dies, the other just closed.
    for page, after in zip(pages, (False, True), strict=True):
        stripe.control(
            "barriers", route="expire", id=page["stripe_session_id"], after=after
        )

    eventually(lambda: len(stripe.look("barriers")["waiting"]) == 2)
    (killed,) = storefront.worker_pids()
    storefront.kill_worker(killed)
    assert sorted(sessions_at(stripe).values()) == ["expired", "open"]
    assert held(database) == (2, 2)
    stripe.release("expire")

    assert_all_over(database, stripe)
    for page in pages:
        assert status_of(database, page["checkout_id"]) == EXPIRED
    wait_for_new_worker(storefront, killed, 1)


def test_a_worker_killed_while_it_records_a_payment_loses_nothing(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> None:
    storefront = open_storefront(WEB_CONCURRENCY="1")
    mug = add_product(database)
    (page,) = [each.body for each in answers(rush(storefront.url, [{mug: 2}]))]
    stripe.barrier("retrieve")

    stripe.pay(page["stripe_session_id"], wait=False)
    stripe.wait_for_waiter("retrieve")
    (killed,) = storefront.worker_pids()
    storefront.kill_worker(killed)
    assert orders_of(database) == []
    stripe.release("retrieve")

    eventually(lambda: orders_of(database), seconds=OVER_SECONDS)
    (order,) = orders_of(database)
    assert order.stripe_session_id == page["stripe_session_id"]
    assert levels(database, mug) == (3, 0)
    assert_invariants(database)
