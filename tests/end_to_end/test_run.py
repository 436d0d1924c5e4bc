"""The whole shop as `./run.sh` starts it, and that nothing of it stays behind."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from core.clock import utcnow
from core.database.engine import connect
from core.models.checkout import Reconciled
from core.models.every import TABLES

ROOT = Path(__file__).resolve().parents[2]
PORT_VARIABLES = ("STOREFRONT_PORT", "DASHBOARD_PORT", "STRIPE_EMULATOR_PORT")
START_SECONDS = 60
STOP_SECONDS = 15
PARTS = {
    "storefront": "gunicorn",
    "dashboard": "streamlit",
    "emulator": "stripe_emulator",
}

pytestmark = pytest.mark.slow


def until(condition: Callable[[], object], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def free_ports(count: int) -> list[int]:
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


class RunningShop:
    """A demo shop of its own; a mark in their environment tells its processes."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.run_id = uuid.uuid4().hex
        self.ports = dict(zip(PORT_VARIABLES, free_ports(3), strict=True))
        self.output = folder / "output"
        foreign = ("STRIPE_", "DATABASE_URL", "OWNER_", "SHOP_URL", "DATA_DIR")
        environ = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        environ |= {name: str(port) for name, port in self.ports.items()}
        environ |= {"DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)}
        # One secret in 64 that is generated begins so, and must not pass for an option.
        environ |= {"STRIPE_WEBHOOK_SECRET": "-begins-with-a-dash"}
        environ |= {"VOORRAAD_RUN_ID": self.run_id} | settings
        with self.output.open("wb") as output:
            self.supervisor = subprocess.Popen(
                [sys.executable, str(ROOT / "scripts" / "serve.py")],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        return self.output.read_text()

    def is_open(self) -> bool:
        return "The shop is open" in self.text() and "Stripe (test)" in self.text()

    def wait_until_open(self) -> "RunningShop":
        ended = self.supervisor.poll
        until(lambda: self.is_open() or ended() is not None, seconds=START_SECONDS)
        assert self.is_open(), self.text()
        return self

    def processes(self) -> dict[int, str]:
        """Return the command line of every living process of this shop by its pid."""
        found = {}
        mark = f"VOORRAAD_RUN_ID={self.run_id}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = line.decode()
            except OSError:
                continue  # It ended while we looked.
        return found

    def leader(self, word: str) -> int:
        """Return the first process of a part, which the supervisor itself started."""
        children = {
            pid: line
            for pid, line in self.processes().items()
            if f"\nPPid:\t{self.supervisor.pid}\n"
            in Path(f"/proc/{pid}/status").read_text()
        }
        (pid,) = [pid for pid, line in children.items() if f" -m {word}" in line]
        return pid

    def is_gone(self) -> bool:
        ended = self.supervisor.poll() is not None and not self.processes()
        return ended and all(map(is_free, self.ports.values()))

    def end(self) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.supervisor.wait()


@contextmanager
def opened(folder: Path) -> Iterator[RunningShop]:
    running = RunningShop(folder)
    try:
        yield running.wait_until_open()
    finally:
        running.end()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[RunningShop]:
    with opened(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shop_all_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    """Give a shop that is only looked at."""
    with opened(tmp_path_factory.mktemp("shop")) as running:
        yield running


def refused(folder: Path, **settings: str) -> tuple[int, str]:
    running = RunningShop(folder, **settings)
    try:
        until(lambda: running.supervisor.poll() is not None, seconds=START_SECONDS)
        return running.supervisor.returncode, running.text()
    finally:
        running.end()


def check_out(port: int) -> int:
    """Order one of the first product that the storefront lists."""
    api = f"http://127.0.0.1:{port}/api"
    product = requests.get(f"{api}/products", timeout=30).json()["products"][0]
    items = [{"product_id": product["id"], "quantity": 1}]
    answer = requests.post(f"{api}/checkout", json={"items": items}, timeout=60)
    return answer.status_code


def rows_of(database_url: str) -> dict[str, list[object]]:
    """Return all rows of all tables."""
    database = connect(database_url)
    with database.engine.connect() as connection:
        found: dict[str, list[object]] = {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=repr)
            for table in TABLES
        }
    database.engine.dispose()
    return found


def is_reconciled(database_url: str) -> bool:
    """Tell whether a pass of reconcile is over, and the next one far away."""
    soon = utcnow() + timedelta(hours=1)
    database = connect(database_url)
    with database.read() as session:
        passed = session.scalar(
            select(Reconciled.id).where(Reconciled.taken_until > soon)
        )
    database.engine.dispose()
    return passed is not None


@pytest.mark.postgres
def test_on_postgresql_the_shop_sells_and_its_second_start_changes_nothing(
    postgres_url: str, tmp_path: Path
):
    # Once it has compared itself with Stripe it does so again only tomorrow.
    rarely = {"DATABASE_URL": postgres_url, "RECONCILE_INTERVAL_SECONDS": "86400"}
    first = RunningShop(tmp_path, **rarely)
    try:
        port = first.wait_until_open().ports["STOREFRONT_PORT"]
        ready, bought = status(port, "/readyz"), check_out(port)
        assert until(lambda: is_reconciled(postgres_url), seconds=STOP_SECONDS)
        first.supervisor.send_signal(signal.SIGINT)
        gone = until(first.is_gone, seconds=STOP_SECONDS)
    finally:
        first.end()
    rows = rows_of(postgres_url)

    second = RunningShop(tmp_path, **rarely)
    try:
        second.wait_until_open()
        after = rows_of(postgres_url)
    finally:
        second.end()

    assert (ready, bought, gone) == (200, 201, True), first.text()
    assert {len(rows["checkout"]), len(rows["orders"])} == {1, 0}
    assert len(rows["product"]) >= 8
    assert after == rows


def test_the_printed_addresses_answer(shop_all_day: RunningShop):
    text = shop_all_day.text()

    for port in shop_all_day.ports.values():
        assert f"http://127.0.0.1:{port}" in text
        assert status(port, "/healthz") == 200
    assert status(shop_all_day.ports["STOREFRONT_PORT"], "/readyz") == 200


def test_the_login_of_the_dashboard_is_printed_with_its_password(
    shop_all_day: RunningShop,
):
    (line,) = [line for line in shop_all_day.text().splitlines() if "login: " in line]
    email, password = line.split("login: ")[1].split()

    assert "@" in email
    assert len(password) >= 8


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_a_signal_to_stop_leaves_no_process(shop: RunningShop, number: signal.Signals):
    shop.supervisor.send_signal(number)

    assert until(shop.is_gone, seconds=STOP_SECONDS), shop.processes()
    assert shop.supervisor.returncode == 0, shop.text()


def test_an_impatient_second_ctrl_c_leaves_no_process(shop: RunningShop):
    shop.supervisor.send_signal(signal.SIGINT)
    assert until(lambda: "Stopping." in shop.text(), seconds=STOP_SECONDS)
    shop.supervisor.send_signal(signal.SIGINT)

    assert until(shop.is_gone, seconds=STOP_SECONDS), shop.processes()
    assert shop.supervisor.returncode == 0, shop.text()


def test_a_killed_supervisor_leaves_no_process(shop: RunningShop):
    shop.supervisor.kill()

    assert until(shop.is_gone, seconds=STOP_SECONDS), shop.processes()


@pytest.mark.parametrize(
    "part",
    [
        "storefront",
        pytest.param("dashboard", marks=pytest.mark.long),
        pytest.param("emulator", marks=pytest.mark.long),
    ],
)
def test_the_end_of_one_part_ends_all_and_names_it(shop: RunningShop, part: str):
    os.kill(shop.leader(PARTS[part]), signal.SIGKILL)

    assert until(shop.is_gone, seconds=STOP_SECONDS), shop.processes()
    assert shop.supervisor.returncode == 1
    assert f"The {part} ended by signal 9." in shop.text()


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, text = refused(tmp_path, STOREFRONT_PORT=port)

    assert code == 2
    assert "STOREFRONT_PORT" in text
    assert port in text
    assert not (tmp_path / "data" / "voorraad.db").exists()


def test_a_setting_that_makes_no_sense_is_told_in_one_line(tmp_path: Path):
    code, text = refused(tmp_path, RESERVATION_MINUTES="soon")

    assert code == 2
    assert text.startswith("run.sh: RESERVATION_MINUTES")
    assert len(text.splitlines()) == 1


def test_an_unknown_command_is_answered_with_the_usage():
    result = subprocess.run(
        [str(ROOT / "run.sh"), "rm"], capture_output=True, text=True, check=False
    )

    assert result.returncode == 2
    assert "Usage: ./run.sh" in result.stderr
    assert result.stdout == ""
