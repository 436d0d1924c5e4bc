"""
Engines, transactions and migrations for SQLite and PostgreSQL.

A write on SQLite begins with BEGIN IMMEDIATE: a transaction that reads first and writes
later fails at once with "database is locked" however long it was told to wait.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import resources
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.errors import BusyError

T = TypeVar("T")

ATTEMPTS = 5
BUSY_TIMEOUT_MS = 10_000
MIGRATION_KEY = 8_675_001  # any number, as long as only migrations use it
# serialization_failure, deadlock_detected, lock_not_available
PASSING_SQLSTATES = {"40001", "40P01", "55P03"}


def engine_options(url: str) -> dict[str, Any]:
    """Return what create_engine needs besides the *url*."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": BUSY_TIMEOUT_MS / 1000}}
    # PgBouncer in transaction mode hands the prepared statements of one client to
    # another, so the driver is told to prepare none.
    return {"pool_pre_ping": True, "connect_args": {"prepare_threshold": None}}


def connect(url: str) -> "Database":
    """Return the database at *url*; nothing is opened before it is needed."""
    return Database(create_engine(url, **engine_options(url)))


class Database:
    """One engine with the two ways to use it: read() and write()."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        if self.is_sqlite:
            event.listen(engine, "connect", _prepare_connection)
            event.listen(engine, "begin", _begin)
        self._reader = sessionmaker(engine)
        self._writer = sessionmaker(engine.execution_options(begin="BEGIN IMMEDIATE"))
        # SQLite has one writer at a time and a busy wait that is not fair: threads of
        # one process queue here instead.
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that only reads; what it has loaded stays usable after it."""
        with self._reader() as session:
            yield session

    def write(self, work: Callable[[Session], T]) -> T:
        """
        Do *work* in one transaction and commit; any error rolls all of it back.

        A deadlock or a busy database is tried again some times, so *work* must do
        nothing but use the session. Raises BusyError when that does not help.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._turn, self._writer.begin() as session:
                    return work(session)
            except OperationalError as error:
                if not _is_passing(error):
                    raise
                if attempt == ATTEMPTS:
                    raise BusyError from error
                time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311
        raise AssertionError("unreachable")

    def migrate(self) -> None:
        """Bring the schema up to date; safe to repeat and from two places at once."""
        with self.engine.execution_options(
            begin="BEGIN IMMEDIATE"
        ).begin() as connection:
            if not self.is_sqlite:
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_KEY}
                )
            command.upgrade(alembic_config(connection), "head")

    def is_migrated(self) -> bool:
        """Tell whether the schema is the one that this program was written for."""
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        scripts = ScriptDirectory.from_config(alembic_config())
        return current == scripts.get_current_head()


def alembic_config(connection: Connection | None = None) -> AlembicConfig:
    """Return the settings of the migrations, to be run on *connection*."""
    config = AlembicConfig()
    config.set_main_option(
        "script_location",
        str(resources.files("core") / "migrations").replace("%", "%%"),
    )
    config.attributes["connection"] = connection
    return config


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy, not sqlite3, begins transactions
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode=WAL")
    # NORMAL may lose the last commits when the power fails: a paid order, for example.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _is_passing(error: OperationalError) -> bool:
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate in PASSING_SQLSTATES
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
