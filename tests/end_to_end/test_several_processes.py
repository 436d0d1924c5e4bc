"""Two storefronts and a dashboard, each of several processes, on one database."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from core.clock import utcnow
from core.database.engine import Database, connect
from core.models.checkout import PENDING, Checkout
from core.models.stock import StockReservation
from core.owner import accounts
from tests.concurrency.rush import ANSWER_SECONDS, answers, rush
from tests.dashboard_server import DashboardServer
from tests.emulator import EmulatorServer
from tests.end_to_end.conftest import Dashboard, log_in
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    eventually,
    levels,
    open_sessions,
    orders_of,
)
from tests.own_databases import OwnDatabases
from tests.storefront_server import StorefrontServer

SHOPPERS = 40
BUYERS = 6
OVER_SECONDS = 60
LOOK_SECONDS = 30  # the owner's pages look again every five seconds

pytestmark = pytest.mark.slow


# A pass that has just listed an open page may ask to close it again, which does no harm
# but would be counted here.
RARELY = "3600"


@dataclass(frozen=True)
class Running:
    """Programs that know of each other by the database and the SECRET_KEY alone."""

    storefronts: list[StorefrontServer]
    dashboard: Dashboard
    database: Database
    stripe: EmulatorServer


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sqlite", marks=pytest.mark.long),
        pytest.param("postgres", marks=pytest.mark.postgres),
    ],
)
def running(
    request: pytest.FixtureRequest,
    stripe_process: EmulatorServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(request.param)
    stripe_process.reset()
    with ExitStack() as programs:
        url = programs.enter_context(_new_database(request, folder))
        storefronts = [
            programs.enter_context(
                StorefrontServer(
                    url,
                    stripe_process,
                    folder / name,
                    RECONCILE_INTERVAL_SECONDS=RARELY,
                )
            )
            for name in ("one", "other")
        ]
        dashboard = Dashboard(programs.enter_context(DashboardServer(url, folder)).url)
        database = connect(url)
        programs.callback(database.engine.dispose)
        accounts.set_owner(database, dashboard.email, dashboard.password, now=utcnow())
        yield Running(storefronts, dashboard, database, stripe_process)


@contextmanager
def _new_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        path = folder / "voorraad.db"
        path.write_bytes(template.read_bytes())
        yield f"sqlite:///{path}"
        return
    own: OwnDatabases = request.getfixturevalue("own_databases")
    address = own.create()
    yield address
    own.drop(address)


def let_all_run_out(database: Database) -> None:
    """Let the hold of every open checkout be over, as if its time had passed."""
    ended = utcnow()

    def work(session: Session) -> None:
        for table in (Checkout, StockReservation):
            pending = update(table).where(table.status == PENDING)
            session.execute(pending.values(expires_at=ended))

    database.write(work)


def check_out_at(
    storefront: StorefrontServer, product_id: int, count: int
) -> list[str]:
    """Let shoppers check out at once; return their sessions at Stripe."""
    checked_out = answers(rush(storefront.url, [{product_id: 1}] * count))
    assert [answer.status for answer in checked_out] == [201] * count
    return [answer.body["stripe_session_id"] for answer in checked_out]


def deadlocks(database: Database) -> int:
    if database.is_sqlite:
        return 0
    query = text(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(ask(database, lambda session: session.scalars(query).one()))


@pytest.fixture
def owner(running: Running, new_context: Callable[..., BrowserContext]) -> Page:
    page = new_context(locale="nl-NL").new_page()
    log_in(page, running.dashboard)
    return page


@pytest.mark.browser
def test_the_owner_sees_what_is_bought_at_either_storefront(
    running: Running, owner: Page
) -> None:
    mug = add_product(running.database, stock_units=20, name="Kop van klei")
    row = owner.get_by_role("main").locator("tr").filter(has_text="Kop van klei")

    def shows(*units: str) -> bool:
        return row.locator("td").all_text_contents()[-3:] == list(units)

    eventually(lambda: shows("20", "0", "20"), seconds=LOOK_SECONDS)
    sessions = [check_out_at(each, mug, BUYERS) for each in running.storefronts]
    eventually(lambda: shows("20", "12", "8"), seconds=LOOK_SECONDS)
    # Stripe tells the storefront that it knows, wherever the page was made.
    for session_id in (*sessions[0], *sessions[1]):
        running.stripe.pay(session_id)

    eventually(lambda: shows("8", "0", "8"), seconds=LOOK_SECONDS)
    assert len(orders_of(running.database)) == 2 * BUYERS
    assert_invariants(running.database)


def test_a_visitor_of_both_storefronts_has_one_hold(running: Running) -> None:
    mug = add_product(running.database, stock_units=5)
    body = {"items": [{"product_id": mug, "quantity": 1}]}

    with requests.Session() as visitor:
        for storefront in running.storefronts:
            visitor.get(storefront.url, timeout=ANSWER_SECONDS)
            answer = visitor.post(
                f"{storefront.url}/api/checkout", json=body, timeout=ANSWER_SECONDS
            )
            assert answer.status_code == 201

    assert levels(running.database, mug) == (5, 1)


def test_no_scheduler_does_again_what_another_is_doing(running: Running) -> None:
    database = running.database
    mugs = [add_product(database, stock_units=SHOPPERS) for _ in range(2)]
    sessions = [
        session_id
        for storefront, mug in zip(running.storefronts, mugs, strict=True)
        for session_id in check_out_at(storefront, mug, SHOPPERS)
    ]

    # While Stripe takes its time, every other scheduler comes by.
    running.stripe.fault("expire", "slow", seconds=0.3, times=0)
    let_all_run_out(database)
    all_free = [(SHOPPERS, 0)] * 2
    eventually(
        lambda: [levels(database, mug) for mug in mugs] == all_free,
        seconds=OVER_SECONDS,
    )

    asked = Counter(row["path"] for row in running.stripe.requests("/expire"))
    paths = [f"/v1/checkout/sessions/{session_id}/expire" for session_id in sessions]
    assert {path: asked[path] for path in paths} == dict.fromkeys(paths, 1)
    assert open_sessions(running.stripe) == []
    assert deadlocks(database) == 0
    assert_invariants(database)
