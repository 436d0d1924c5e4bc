"""A dashboard that runs, and the settings under which its pages are tested alone."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import streamlit as st

from core import database as databases
from core import owners
from core.clock import utcnow
from core.database import Database
from tests.admin_dashboard.visitor import Visitor
from tests.factories import eventually

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


def is_alive(address: str) -> bool:
    try:
        return Visitor(address).get("/healthz").ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def dashboard(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "voorraad.db").write_bytes(sqlite_template.read_bytes())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    opened = databases.connect(f"sqlite:///{folder / 'voorraad.db'}")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamlit", "run"),
            str(ROOT / "admin_dashboard" / "app.py"),
            *("--server.address", "127.0.0.1", "--server.port", str(port)),
        ],
        # Elsewhere than usual: the settings must be found all the same.
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(folder),
            "SECRET_KEY": SECRET_KEY,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    running = Dashboard(f"http://127.0.0.1:{port}", opened, SECRET_KEY)
    try:
        eventually(lambda: is_alive(running.address), seconds=60)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
        opened.engine.dispose()


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, object],
) -> dict[str, object]:
    return {
        **browser_type_launch_args,
        "executable_path": os.environ.get("CHROMIUM", "/usr/bin/chromium"),
        "args": ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    }


@pytest.fixture(scope="session")
def browser_context_args(
    browser_context_args: dict[str, object],
) -> dict[str, object]:
    return {
        **browser_context_args,
        "locale": "nl-NL",
        "timezone_id": "Europe/Amsterdam",
    }
