"""The shop with its doors open, and people who visit it in a browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import (
    BrowserContext,
    Page,
    expect,
)

from core.clock import utcnow
from core.database.engine import connect
from core.owner import accounts
from tests.dashboard_server import DashboardServer
from tests.emulator import EmulatorServer
from tests.end_to_end.customer import Customer, OpenShop
from tests.factories import assert_invariants
from tests.storefront_server import StorefrontServer

ROOT = Path(__file__).resolve().parents[2]
WIDE = 1280
PHONE = 390
HEIGHT = 844
# The owner's pages look again every few seconds, and the machine may be busy.
PATIENCE_MS = 15_000


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def opened(folder: Path, template: Path, **settings: str) -> Iterator[OpenShop]:
    path = folder / "voorraad.db"
    path.write_bytes(template.read_bytes())
    url = f"sqlite:///{path}"
    database = connect(url)
    with (
        EmulatorServer() as stripe,
        StorefrontServer(url, stripe, folder, **settings) as storefront,
    ):
        yield OpenShop(storefront.url, url, folder, database, stripe)
    database.engine.dispose()


@pytest.fixture(scope="session")
def shop_all_day(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenShop]:
    with opened(tmp_path_factory.mktemp("shop"), sqlite_template) as shop:
        yield shop


@pytest.fixture
def open_shop(shop_all_day: OpenShop) -> Iterator[OpenShop]:
    """
    Give the shop that all tests visit; each brings products of its own.

    Whatever a test did, counters, rows and ledger must agree afterwards.
    """
    yield shop_all_day
    assert_invariants(shop_all_day.database)


NewCustomer = Callable[..., Customer]


@dataclass(frozen=True)
class Dashboard:
    """The owner's pages on the shop's own database, and a login for them."""

    url: str
    email: str = "owner@localhost"
    password: str = "een-goed-wachtwoord"


@pytest.fixture(scope="session")
def dashboard(shop_all_day: OpenShop) -> Iterator[Dashboard]:
    with DashboardServer(shop_all_day.database_url, shop_all_day.folder) as server:
        running = Dashboard(server.url)
        accounts.set_owner(
            shop_all_day.database, running.email, running.password, now=utcnow()
        )
        yield running


def log_in(page: Page, dashboard: Dashboard) -> None:
    page.goto(dashboard.url)
    page.get_by_label("E-mailadres").fill(dashboard.email)
    page.get_by_label("Wachtwoord").fill(dashboard.password)
    page.get_by_role("button", name="Inloggen").click()
    expect(page.get_by_role("heading", name="Overzicht")).to_be_visible()


@pytest.fixture
def owner(new_customer: "NewCustomer", dashboard: Dashboard) -> Page:
    """Give the browser window of the owner, who has logged in."""
    page = new_customer().page
    page.set_default_timeout(30_000)
    log_in(page, dashboard)
    return page


@pytest.fixture
def new_customer(
    new_context: Callable[..., BrowserContext], open_shop: OpenShop
) -> Iterator[NewCustomer]:
    """
    Let somebody come in, with a *width* and *locale*, to the shop or to another *shop*.

    Nobody's browser may have complained, nor have asked anything of strangers.
    """
    came: list[Customer] = []

    def come_in(
        *, width: int = WIDE, locale: str = "nl-NL", shop: OpenShop = open_shop
    ) -> Customer:
        context = new_context(
            locale=locale, viewport={"width": width, "height": HEIGHT}
        )
        context.set_default_timeout(PATIENCE_MS)
        came.append(Customer(context, shop))
        return came[-1]

    yield come_in
    assert [customer.complaints for customer in came if customer.complaints] == []
    assert [found for customer in came for found in customer.foreign_requests] == []


@pytest.fixture
def customer(new_customer: NewCustomer) -> Customer:
    return new_customer()
