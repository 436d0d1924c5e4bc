"""A dashboard that runs, and the settings under which its pages are tested alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from playwright.sync_api import Browser, BrowserContext, Page, expect
from streamlit.runtime.context import ContextProxy

from admin_dashboard.login.logins import COOKIE, Logins
from core.clock import utcnow
from core.database.engine import Database, connect
from core.owner import accounts
from tests.admin_dashboard.visitor import Visitor
from tests.dashboard_server import DashboardServer

ROOT = Path(__file__).resolve().parents[2]
SECRET_KEY = "a secret of the tests"
EMAIL, PASSWORD = "owner@localhost", "een-goed-wachtwoord"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long]),
    ]
)
def database_url(request: pytest.FixtureRequest) -> str:
    """Give one database each day: pages show what core's own tests find on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def pages(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let pages that run in this process see the test's database and nothing older."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    st.cache_data.clear()
    yield
    forget_database()


@pytest.fixture
def owner(pages: None, database: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    """Log an owner in; a browser would bring the cookie, pages alone have none."""
    email = "eigenaar@example.com"
    accounts.set_owner(database, email, PASSWORD, now=utcnow())
    cookie = Logins(database, SECRET_KEY).open(email, PASSWORD)
    monkeypatch.setattr(ContextProxy, "cookies", {COOKIE: cookie})
    return email


def forget_database() -> None:
    from admin_dashboard.parts import shop_data

    shop_data.shop_database().engine.dispose()
    st.cache_resource.clear()
    st.cache_data.clear()


@dataclass(frozen=True)
class Dashboard:
    address: str
    database: Database
    secret_key: str

    def add_owner(self, email: str, password: str) -> None:
        accounts.set_owner(self.database, email, password, now=utcnow())

    def visitor(self) -> Visitor:
        return Visitor(self.address)


@pytest.fixture(scope="module")
def dashboard(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "voorraad.db").write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{folder / 'voorraad.db'}"
    opened = connect(url)
    with DashboardServer(url, folder, SECRET_KEY=SECRET_KEY) as running:
        yield Dashboard(running.url, opened, SECRET_KEY)
    opened.engine.dispose()


@pytest.fixture(scope="module")
def one_context(
    browser: Browser, browser_context_args: dict[str, object]
) -> Iterator[BrowserContext]:
    """Give a browser that keeps Streamlit's two megabytes of scripts."""
    context = browser.new_context(**browser_context_args)  # type: ignore[arg-type]  # the plugin's
    yield context
    context.close()


@pytest.fixture
def context(one_context: BrowserContext) -> Iterator[BrowserContext]:
    """Give a browser that knows nobody; its windows are closed after the test."""
    yield one_context
    for page in one_context.pages:
        page.close()
    one_context.clear_cookies()


@pytest.fixture
def owner_page(dashboard: Dashboard, page: Page) -> Page:
    """Give a browser whose owner has logged in, which the form is not needed for."""
    dashboard.add_owner(EMAIL, PASSWORD)
    login = Logins(dashboard.database, SECRET_KEY).open(EMAIL, PASSWORD)
    assert login is not None
    page.context.add_cookies(
        [{"name": COOKIE, "value": login, "url": dashboard.address}]
    )
    page.goto(dashboard.address)
    overview = page.get_by_role("heading", name="Overzicht", exact=True)
    expect(overview).to_be_visible(timeout=30_000)
    return page


@pytest.fixture(scope="session")
def browser_context_args(
    browser_context_args: dict[str, object],
) -> dict[str, object]:
    return {**browser_context_args, "locale": "nl-NL"}
