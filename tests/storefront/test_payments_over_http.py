"""Payments where it takes real HTTP, real workers, or a database that says no."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe as package
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.database.engine import Database
from core.models.base import Base
from core.models.checkout import CONFIRMED, EXPIRED, Checkout
from core.models.mail import Mail
from core.models.records import StripeEvent
from core.orders.views import OrderView
from core.refunds import views as refund_views
from core.refunds.views import RefundView
from core.shop import Shop
from tests import stripe_cli
from tests.core.checkout.test_late import paid_late
from tests.emulator import EmulatorServer
from tests.factories import (
    COMPLETED,
    add_product,
    ask,
    assert_invariants,
    at_once,
    eventually,
    levels,
    open_sessions,
    orders_of,
    refunds_of,
    sessions_at,
    status_of,
    to_dos_of,
)
from tests.storefront.conftest import SECRET, Deliver, event_of, json_of
from tests.storefront_server import StorefrontServer
from tests.stripe_cli import StripeClient

OpenStorefront = Callable[..., StorefrontServer]
Json = dict[str, Any]

PATIENCE_SECONDS = 30
WITHIN_A_MINUTE = 60


@pytest.fixture
def open_storefront(
    database_url: str, stripe: EmulatorServer, tmp_path: Path
) -> Iterator[OpenStorefront]:
    """Give a way to start storefronts on the test's database; they end with it."""
    with ExitStack() as running:

        def start(**settings: str) -> StorefrontServer:
            folder = tmp_path / "storefront"
            server = StorefrontServer(database_url, stripe, folder, **settings)
            return running.enter_context(server)

        yield start


def check_out(storefront: StorefrontServer, product_id: int) -> requests.Response:
    items = {"items": [{"product_id": product_id, "quantity": 1}]}
    return requests.post(f"{storefront.url}/api/checkout", json=items, timeout=60)


def page_of(storefront: StorefrontServer, product_id: int) -> Json:
    answer = check_out(storefront, product_id)
    assert answer.status_code == 201
    page: Json = answer.json()
    return page


def tell(storefront: StorefrontServer, event: Json) -> int:
    """Send an event as Stripe does; return what is answered."""
    body = json.dumps(event)
    signature = package.WebhookSignature.generate_signature_header(
        body, SECRET, int(time.time())
    )
    answer = requests.post(
        f"{storefront.url}/api/stripe/webhook",
        body.encode(),
        headers={"Stripe-Signature": signature},
        timeout=60,
    )
    return answer.status_code


def attempts(stripe: EmulatorServer, kind: str) -> list[int]:
    """Return what the shop answered each time it was told of events of a kind."""
    made = stripe.look("webhooks")["attempts"]
    return [each["status"] for each in made if each["type"] == kind]


def come_back(storefront: StorefrontServer, session_id: str) -> int:
    address = f"{storefront.url}/checkout/success"
    answer = requests.get(address, {"session_id": session_id}, timeout=60)
    return answer.status_code


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables."""

    def rows(session: Session) -> dict[str, list[tuple[Any, ...]]]:
        return {
            each.name: [
                tuple(row)
                for row in session.execute(select(each).order_by(*each.primary_key))
            ]
            for each in Base.metadata.sorted_tables
        }

    return ask(database, rows)


def letters(database: Database) -> list[str]:
    return ask(database, lambda s: list(s.scalars(select(Mail.kind).order_by(Mail.id))))


@contextmanager
def refusing(database: Database, table: str) -> Iterator[None]:
    """Let the database refuse each new row of *table*."""
    if database.is_sqlite:
        make = [
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table}"
            " BEGIN SELECT RAISE(ABORT, 'refused by a test'); END"
        ]
        drop = ["DROP TRIGGER refuse"]
    else:
        make = [
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'refused by a test'; END $$",
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse()",
        ]
        drop = [f"DROP TRIGGER refuse ON {table}", "DROP FUNCTION refuse()"]
    _run(database, make)
    try:
        yield
    finally:
        _run(database, drop)


def _run(database: Database, statements: list[str]) -> None:
    for statement in statements:
        database.write(partial(_execute, statement=statement))


def _execute(session: Session, statement: str) -> None:
    session.execute(text(statement))


@pytest.mark.slow
@pytest.mark.daily_on("postgres")
def test_twenty_events_and_the_return_page_at_once_make_one_order(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> None:
    storefront = open_storefront()
    mug = add_product(database)
    stripe.webhooks("drop")
    page = page_of(storefront, mug)
    session_id = page["stripe_session_id"]
    stripe.pay(session_id)
    event = event_of(stripe, session_id, COMPLETED)
    twin = {**event, "id": "evt_twin"}

    answers = at_once(
        [partial(tell, storefront, event)] * 10
        + [partial(tell, storefront, twin)] * 10
        + [partial(come_back, storefront, session_id)] * 5
    )

    assert answers == [200] * 25
    (order,) = orders_of(database)
    assert (order.stripe_session_id, order.status) == (session_id, "PAID")
    assert letters(database) == ["ORDER"]
    noted = ask(database, lambda s: s.scalars(select(StripeEvent.object_id)).all())
    assert noted == [session_id]
    assert levels(database, mug) == (4, 0)
    assert_invariants(database)


@pytest.mark.slow
@pytest.mark.daily_on("sqlite")
def test_an_event_that_comes_before_our_own_commit_makes_the_order(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> None:
    storefront = open_storefront()
    mug = add_product(database)
    stripe.barrier("create", after=True)

    with ThreadPoolExecutor(1) as background:
        shopper = background.submit(check_out, storefront, mug)
        stripe.wait_for_waiter("create")
        (session_id,) = open_sessions(stripe)
        known = ask(database, lambda s: s.scalars(select(Checkout)).one())
        # Stripe tells of it, and waits for the answer.
        stripe.pay(session_id)
        told = attempts(stripe, COMPLETED)
        sold = orders_of(database)
        stripe.release("create")
        answer = shopper.result(PATIENCE_SECONDS)

    assert known.stripe_session_id is None
    assert told == [200]
    # Nobody was given the page, so whoever waited for it is told to try again.
    assert answer.status_code == 503
    assert [order.stripe_session_id for order in sold] == [session_id]
    assert orders_of(database) == sold
    assert status_of(database, known.id) == CONFIRMED
    assert refunds_of_shop(database) == []
    assert levels(database, mug) == (4, 0)
    assert_invariants(database)


def refunds_of_shop(database: Database) -> list[RefundView]:
    return ask(database, refund_views.refunds)


ALONE = {
    # The first pass comes at once, the next one long after the test.
    "sweep": {"RESERVATION_MINUTES": "0.05", "RECONCILE_INTERVAL_SECONDS": "3600"},
    "reconcile": {"RESERVATION_MINUTES": "15", "RECONCILE_INTERVAL_SECONDS": "1"},
}


@pytest.mark.slow
@pytest.mark.daily_on("postgres")
@pytest.mark.parametrize("who", ALONE)
def test_an_event_that_is_lost_for_ever_costs_no_order(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    who: str,
) -> None:
    storefront = open_storefront(**ALONE[who])
    mug = add_product(database)
    stripe.webhooks("drop")
    page = page_of(storefront, mug)

    stripe.pay(page["stripe_session_id"])

    eventually(lambda: orders_of(database), seconds=PATIENCE_SECONDS)
    (order,) = orders_of(database)
    assert (order.stripe_session_id, order.was_late) == (
        page["stripe_session_id"],
        False,
    )
    assert stripe.look("webhooks")["attempts"] == []
    assert levels(database, mug) == (4, 0)
    assert_invariants(database)


def bought_over_http(
    storefront: StorefrontServer, stripe: EmulatorServer, product_id: int
) -> None:
    stripe.pay(page_of(storefront, product_id)["stripe_session_id"])


@pytest.mark.slow
@pytest.mark.daily_on("postgres")
@pytest.mark.parametrize(
    ("are_units_free", "is_told"),
    [(True, True), (False, True), (False, False)],
    ids=["free", "gone", "gone and never told"],
)
def test_late_money_ends_by_itself_within_a_minute(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    *,
    are_units_free: bool,
    is_told: bool,
) -> None:
    """The copy of a closed page is paid, and Stripe's first answers are no use."""
    storefront = open_storefront(RESERVATION_MINUTES="0.05")
    mug = add_product(database, stock_units=1)
    page = page_of(storefront, mug)
    eventually(lambda: status_of(database, page["checkout_id"]) == EXPIRED)
    copy: str = stripe.recover(page["stripe_session_id"])["id"]
    if not are_units_free:
        bought_over_http(storefront, stripe, mug)
        eventually(lambda: orders_of(database))
    if not is_told:
        stripe.webhooks("drop")
    stripe.fault("retrieve", "status", status=502, times=2, id=copy)
    stripe.fault("refund", "status", status=502, times=3)
    stripe.fault("refund", "error_before")

    stripe.pay(copy)

    def ended() -> list[OrderView] | list[RefundView]:
        orders = [each for each in orders_of(database) if each.was_late]
        done = [each for each in refunds_of_shop(database) if each.status == "DONE"]
        return orders or done

    eventually(ended, seconds=WITHIN_A_MINUTE)
    (end,) = ended()
    assert isinstance(end, OrderView) == are_units_free
    assert end.stripe_session_id == copy
    assert levels(database, mug) == (0, 0)
    assert_invariants(database)


@pytest.fixture
def cli(stripe: EmulatorServer, tmp_path: Path) -> StripeClient:
    """Give Stripe's own command-line client."""
    return StripeClient(stripe_cli.program(), stripe.url, tmp_path)


@pytest.mark.slow
@pytest.mark.daily_on("sqlite")
def test_stripes_own_client_pays_a_page_of_the_shop(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    cli: StripeClient,
) -> None:
    mug = add_product(database)
    page = page_of(open_storefront(RECONCILE_INTERVAL_SECONDS="3600"), mug)

    paid = cli.pay(page["stripe_session_id"])

    assert paid.returncode == 0, paid.stdout + paid.stderr
    assert [attempt["status"] for attempt in eventually_told(stripe)] == [200]
    (order,) = orders_of(database)
    assert (order.stripe_session_id, order.status) == (
        page["stripe_session_id"],
        "PAID",
    )
    assert levels(database, mug) == (4, 0)
    assert to_dos_of(database) == []
    assert_invariants(database)


@pytest.mark.slow
@pytest.mark.daily_on("sqlite")
def test_what_stripes_own_client_triggers_is_not_ours(
    open_storefront: OpenStorefront,
    database: Database,
    stripe: EmulatorServer,
    cli: StripeClient,
) -> None:
    open_storefront()

    ended = cli.trigger(COMPLETED)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = eventually_told(stripe)
    assert {attempt["status"] for attempt in told} == {200}
    assert orders_of(database) == []
    assert to_dos_of(database) == []


def eventually_told(stripe: EmulatorServer) -> list[Json]:
    """Wait until the shop was told of a completed session; return each attempt."""

    def told() -> list[Json]:
        attempts: list[Json] = stripe.look("webhooks")["attempts"]
        return [attempt for attempt in attempts if attempt["type"] == COMPLETED]

    eventually(told)
    return told()


PAID_TABLES = ["orders", "order_line", "stock_movement", "stripe_event", "mail"]


@pytest.mark.parametrize("table", PAID_TABLES)
def test_a_payment_that_cannot_be_recorded_leaves_nothing_and_comes_again(
    client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
    deliver: Deliver,
    table: str,
) -> None:
    mug = add_product(database)
    items = {"items": [{"product_id": mug, "quantity": 2}]}
    page = json_of(client.post("/api/checkout", json=items))
    stripe.pay(page["stripe_session_id"])
    event = event_of(stripe, page["stripe_session_id"], COMPLETED)
    before = contents(database)

    with refusing(database, table):
        refused = deliver(event)
    left = contents(database)
    taken = deliver(event)

    assert refused.status_code >= 500
    assert left == before
    assert taken.status_code == 200
    (order,) = orders_of(database)
    assert order.stripe_session_id == page["stripe_session_id"]
    assert letters(database) == ["ORDER"]
    assert levels(database, mug) == (3, 0)
    assert_invariants(database)


@pytest.mark.parametrize("table", ["refund", "to_do", "mail"])
def test_late_money_that_cannot_be_recorded_sends_nothing_back_and_comes_again(
    shop: Shop, stripe: EmulatorServer, deliver: Deliver, table: str
) -> None:
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=False)
    event = event_of(stripe, page.stripe_session_id, COMPLETED)
    before = contents(shop.database)

    with refusing(shop.database, table):
        refused = deliver(event)
    left, asked = contents(shop.database), stripe.requests("/v1/refunds")
    taken = deliver(event)

    assert refused.status_code >= 500
    assert (left, asked) == (before, [])
    assert taken.status_code == 200
    assert [refund.status for refund in refunds_of(shop)] == ["DONE"]
    assert [entry.kind for entry in to_dos_of(shop.database)] == ["TOO_LATE"]
    assert sorted(letters(shop.database)) == ["REFUND", "TO_DO"]
    assert_invariants(shop.database)


def test_a_payment_that_no_program_can_settle_is_recorded_and_answered_200(
    shop: Shop, stripe: EmulatorServer, deliver: Deliver
) -> None:
    """What trying again cannot help is not asked for again."""
    mug = add_product(shop.database, stock_units=1)
    page = paid_late(shop, stripe, mug, are_units_free=False)
    stripe.fault("refund", "status", status=400, times=0)

    answer = deliver(event_of(stripe, page.stripe_session_id, COMPLETED))

    assert answer.status_code == 200
    assert [refund.status for refund in refunds_of(shop)] == ["FAILED"]
    kinds = [entry.kind for entry in to_dos_of(shop.database)]
    assert kinds == ["TOO_LATE", "REFUND_FAILED"]
    assert sessions_at(stripe)[page.stripe_session_id] == "complete"
