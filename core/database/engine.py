"""
Engines and transactions for SQLite and PostgreSQL.

A write on SQLite begins with BEGIN IMMEDIATE: a transaction that reads first and writes
later fails with "database is locked" at once, whatever the busy timeout.

On PostgreSQL round trips decide the speed. So a single statement commits by itself, and
only several of them stand between BEGIN and COMMIT.
"""

import random
import select
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker

from core.database import schema
from core.database.group_commit import GroupCommit
from core.database.turn import turn_of
from core.errors import BusyError

T = TypeVar("T")

ATTEMPTS = 5
BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 10
# A large shop is read from the page cache, without copying it first.
MAPPED_BYTES = 2**30
# A dead machine sends nothing: without these a thread waits for minutes.
SILENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# serialization_failure, deadlock_detected, lock_not_available
PASSING_SQLSTATES = {"40001", "40P01", "55P03"}


class LostRaceError(Exception):
    """What a statement had checked changed before it was used: worth another try."""


def engine_options(url: str) -> dict[str, Any]:
    """Return what create_engine needs besides the *url*."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": BUSY_TIMEOUT_MS / 1000}}
    told = make_url(url).query  # settings in the URL win
    return {
        "connect_args": {key: SILENCE[key] for key in SILENCE if key not in told},
        "isolation_level": "AUTOCOMMIT",
        "pool_pre_ping": True,
        # No connection is held while Stripe is asked, so few serve many threads. The
        # one used last is the fastest.
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_use_lifo": True,
    }


def connect(url: str) -> "Database":
    """Return the database at *url*; nothing is opened before it is needed."""
    return Database(create_engine(url, **engine_options(url)))


# Runs a single statement: in a session's transaction or, quicker, without a session.
Executor = Session | Connection
Rows = list[tuple[Any, ...]]
Values = Mapping[str, object]


def is_postgresql(executor: Executor) -> bool:
    """Tell whether it works on PostgreSQL, not on SQLite."""
    bind = executor.get_bind() if isinstance(executor, Session) else executor
    return bind.dialect.name == "postgresql"


def run(executor: Executor, statement: str, values: Values) -> Rows:
    """
    Execute *statement* directly with the driver; errors are SQLAlchemy's.

    SQLAlchemy's work around a statement costs as much CPU as the driver's own.
    """
    connection = executor if isinstance(executor, Connection) else executor.connection()
    driver: Any = connection.connection.driver_connection
    errors = connection.dialect.loaded_dbapi.Error
    try:
        rows: Rows = driver.execute(statement, values).fetchall()
    except errors as error:
        if connection.dialect.is_disconnect(error, driver, None):
            connection.invalidate(error)
        raise _translated(error, statement, values) from error
    return rows


def _translated(error: Exception, statement: str, values: Values) -> exc.DBAPIError:
    """Return SQLAlchemy's error of the same name; all drivers use the same names."""
    for kind in type(error).__mro__:
        ours = getattr(exc, kind.__name__, None)
        if isinstance(ours, type) and issubclass(ours, exc.DBAPIError):
            return ours(statement, dict(values), error)
    return exc.DBAPIError(statement, dict(values), error)


class Database:
    """One engine with the ways to use it: read(), write() and write_single()."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._reader = sessionmaker(engine)
        event.listen(self._reader, "do_orm_execute", _refuse_to_write)
        event.listen(self._reader, "before_flush", _refuse_to_flush)
        if self.is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin)
            self._writing = engine.execution_options(begin="BEGIN IMMEDIATE")
            self._writes = GroupCommit(self._writing, turn_of(engine.url.database))
        else:
            event.listen(engine, "connect", _prepare_postgresql)
            engine.dialect.do_ping = _ping  # type: ignore[method-assign,assignment]  # cheaper
            self._writing = engine.execution_options(isolation_level="READ COMMITTED")
        self._writer = sessionmaker(self._writing)

    def read(self) -> AbstractContextManager[Session]:
        """
        Give a session that only reads; loaded objects stay usable after it.

        On PostgreSQL every statement sees what was committed when it began.
        """
        return self._reader()

    def write(self, work: Callable[[Session], T]) -> T:
        """
        Do *work* in one transaction and commit; any error rolls all of it back.

        After a deadlock or on a busy database *work* is done again, ATTEMPTS times in
        all, then BusyError is raised. So it must do nothing but use the session; on
        SQLite another thread may run it.
        """
        return self._write(work, in_session=True)

    def write_single(self, work: Callable[[Executor], T]) -> T:
        """
        Do *work* that is one statement on PostgreSQL, which commits by itself there.

        That saves two of three round trips. *work* gets a connection, not a session:
        no ORM objects. Otherwise like write().
        """
        return self._write(work, in_session=False)

    def _write(self, work: Callable[[Any], T], *, in_session: bool) -> T:
        for number in range(1, ATTEMPTS + 1):
            try:
                return self._write_once(work, in_session)
            except (OperationalError, LostRaceError) as error:
                if isinstance(error, OperationalError) and not _is_passing(error):
                    raise
                if number == ATTEMPTS:
                    raise BusyError from error
                time.sleep(random.uniform(0.01, 0.05) * number)  # noqa: S311
        raise AssertionError("unreachable")

    def _write_once(self, work: Callable[[Any], T], in_session: bool) -> T:
        if self.is_sqlite:
            answer: T = self._writes.write(work, in_session=in_session)
            return answer
        if in_session:
            with self._writer.begin() as session:
                return work(session)
        with self.engine.connect() as connection:
            return work(connection)

    def migrate(self) -> None:
        """Bring the schema up to date; safe to repeat and from two places at once."""
        with self._writing.begin() as connection:
            schema.upgrade(connection)

    def is_migrated(self) -> bool:
        """Tell whether the schema is the one that this program was written for."""
        with self.engine.connect() as connection:
            return schema.is_current(connection)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy, not sqlite3, begins transactions
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode=WAL")
    # NORMAL may lose the last commits in a power failure: a paid order, for example.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA mmap_size={MAPPED_BYTES}")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """
    Let the driver prepare no statements behind a pooler such as PgBouncer.

    In transaction mode it gives the prepared statements of one client to another. A
    pooler is detected by the backend's process id: it makes up one of its own.
    """
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    if pid != connection.info.backend_pid:
        connection.prepare_threshold = None


def _ping(connection: Any) -> bool:
    """Ask the server only if it has sent something, as one does that shuts down."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        connection.execute("SELECT 1")
    return True


def _refuse_to_write(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        raise TypeError("a session that reads was asked to write")


def _refuse_to_flush(session: Session, _context: object, _instances: object) -> None:
    if session.new or session.dirty or session.deleted:
        raise TypeError("a session that reads was asked to write")


def _begin(connection: Connection) -> None:
    run(connection, connection.get_execution_options().get("begin", "BEGIN"), {})


def _is_passing(error: OperationalError) -> bool:
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate in PASSING_SQLSTATES
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
