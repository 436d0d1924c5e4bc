"""A dashboard that runs, and the settings under which its pages are tested alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st

from core import database as databases
from core import owners
from core.clock import utcnow
from core.database import Database
from tests.admin_dashboard.visitor import Visitor
from tests.dashboard_server import DashboardServer

ROOT = Path(__file__).resolve().parents[2]
SECRET_KEY = "a secret of the tests"


@pytest.fixture
def pages(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let pages that run in this process see the test's database and nothing older."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    st.cache_data.clear()
    yield
    forget_database()


def forget_database() -> None:
    from admin_dashboard import shop_data

    shop_data.shop_database().engine.dispose()
    st.cache_resource.clear()
    st.cache_data.clear()


@dataclass(frozen=True)
class Dashboard:
    address: str
    database: Database
    secret_key: str

    def add_owner(self, email: str, password: str) -> None:
        self.database.write(
            lambda session: owners.set_owner(session, email, password, now=utcnow())
        )

    def visitor(self) -> Visitor:
        return Visitor(self.address)


@pytest.fixture(scope="module")
def dashboard(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "voorraad.db").write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{folder / 'voorraad.db'}"
    opened = databases.connect(url)
    with DashboardServer(url, folder, SECRET_KEY=SECRET_KEY) as running:
        yield Dashboard(running.url, opened, SECRET_KEY)
    opened.engine.dispose()


@pytest.fixture(scope="session")
def browser_context_args(
    browser_context_args: dict[str, object],
) -> dict[str, object]:
    return {**browser_context_args, "locale": "nl-NL"}
