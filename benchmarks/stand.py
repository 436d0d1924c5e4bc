"""What a benchmark stands on: databases, clients, sizes and a word to whoever waits."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from benchmarks import load
from benchmarks.clients import Clients
from benchmarks.load import Fill
from benchmarks.measure import Measure, Samples, in_turn
from core.database.engine import connect
from tests import postgres

POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"
ENGINES = (POSTGRESQL, SQLITE)
DISK = Path(os.environ.get("TMPDIR", "/var/tmp"))  # noqa: S108 (a folder of our own in it)


@dataclass(frozen=True)
class Sizes:
    """How much is measured: all of it, or just enough to see that it works."""

    rounds: int = 3
    seconds: float = 1.0
    web_seconds: float = 3.0
    supply: int = 8_000
    history: tuple[int, ...] = (0, 100_000, 1_000_000)
    overdue: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    part_of_most: int = 100_000
    requests: int = 1_500
    payments: int = 600
    few_checkouts: int = 1_000
    many_checkouts: int = 100_000
    room_bytes: int = 12 * 10**9


QUICK = Sizes(
    seconds=0.3,
    web_seconds=1.0,
    supply=1_500,
    history=(0, 1_000, 60_000),
    overdue=(1_000, 10_000, 60_000),
    part_of_most=20_000,
    requests=150,
    payments=60,
    few_checkouts=200,
    many_checkouts=1_000,
    room_bytes=2 * 10**9,
)


class ShortOfRoomError(Exception):
    """The disk has no room for databases of that size."""


class Stand:
    """`with Stand(Sizes(), say) as stand:`; nothing is left behind by it."""

    def __init__(self, sizes: Sizes, say: Callable[[str], None]) -> None:
        self.sizes = sizes
        self.say = say
        self._stack = ExitStack()
        self._templates: dict[tuple[str, Fill], str] = {}
        self._numbers = count(1)
        self._server = ""

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _open(self) -> None:
        # On a disk: what is in memory costs nothing to keep, and /tmp may be there.
        folder = tempfile.TemporaryDirectory(prefix="voorraad-", dir=DISK)
        self.folder = Path(self._stack.enter_context(folder))
        if shutil.disk_usage(self.folder).free < self.sizes.room_bytes:
            gigabytes = self.sizes.room_bytes // 10**9
            raise ShortOfRoomError(f"{DISK} has less than {gigabytes} GB left")
        self.clients = self._stack.enter_context(Clients())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def in_turn(
        self, contenders: dict[str, Measure], *, what: str
    ) -> dict[str, Samples]:
        def say(words: str) -> None:
            self.say(f"{what}: {words}")

        return in_turn(contenders, rounds=self.sizes.rounds, say=say)

    @contextmanager
    def database(self, engine: str, fill: Fill) -> Iterator[str]:
        """Give the address of a migrated database with this in it, for one use."""
        template = self._template(engine, fill)
        name = f"{template}_{next(self._numbers)}"
        if engine == SQLITE:
            path = self.folder / f"{name}.db"
            shutil.copyfile(self.folder / f"{template}.db", path)
            yield f"sqlite:///{path}"
            for each in self.folder.glob(f"{name}.db*"):
                each.unlink()
            return
        self._do(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        self._do("CHECKPOINT")
        yield f"{self.server}/{name}"
        self._do(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def server(self) -> str:
        """A PostgreSQL that keeps what it has acknowledged, started when needed."""
        if not self._server:
            self.say("starting PostgreSQL")
            self._server = self._stack.enter_context(
                postgres.server(self.folder / "postgresql", durable=True)
            )
        return self._server

    def _template(self, engine: str, fill: Fill) -> str:
        """Fill each kind of database once; all uses are copies of it."""
        if (engine, fill) in self._templates:
            return self._templates[engine, fill]
        name = f"template_{len(self._templates)}"
        url = f"sqlite:///{self.folder}/{name}.db"
        if engine == POSTGRESQL:
            self._do(f"CREATE DATABASE {name}")
            url = f"{self.server}/{name}"
        self.say(f"filling a {engine} database with {fill}")
        opened = connect(url)
        opened.migrate()
        load.put(opened, fill)
        opened.engine.dispose()
        self._templates[engine, fill] = name
        return name

    def _do(self, statement: str) -> None:
        admin = f"{self.server}/postgres".replace("+psycopg", "")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(statement)


def pgbench(url: str, script: Path, *, clients: int, seconds: float) -> float:
    """Let PostgreSQL's own client send *script*; return transactions a second."""
    folder = postgres.programs()
    assert folder is not None
    address, name = url.rsplit("/", 1)
    host, port = address.rsplit("@", 1)[1].split(":")
    said = subprocess.run(
        [
            *(str(folder / "pgbench"), "-n", "-M", "prepared", "-f", str(script)),
            *("-c", str(clients), "-j", str(min(clients, os.cpu_count() or 1))),
            *("-T", str(max(1, round(seconds)))),
            *("-h", host, "-p", port, "-U", "postgres", name),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    (tps,) = (
        line.split()[2] for line in said.stdout.splitlines() if line.startswith("tps")
    )
    return float(tps)
