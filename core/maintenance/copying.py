"""
A shop moved to another database: every row as it is, or none.

The source is read in one snapshot, so that what is sold meanwhile cannot tear the copy
apart. The target is written in one transaction, which ends with the same sums and the
same doctor's report on both sides and a source that nobody has written to meanwhile, or
is rolled back.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    MappingResult,
    String,
    Table,
    cast,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.config import checked_database_url
from core.database.engine import Database, connect
from core.database.locks import COPY_KEY
from core.errors import ConfigError, CopyError
from core.maintenance import doctor
from core.maintenance.doctor import Finding
from core.models.every import METADATA, TABLES

Sums = dict[str, set[tuple[Any, ...]]]
"""What is in each table: a row of sums for each status, the number of rows first."""
Progress = Callable[[str, int, int], None]
"""Told a table's name, how many rows are copied by now, and how many there are."""

BATCH = 1000


@dataclass(frozen=True)
class Side:
    """What one of the two databases holds, and what the doctor says of it."""

    sums: Sums
    findings: list[Finding]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: sum(row[0] for row in rows) for name, rows in self.sums.items()}


@dataclass(frozen=True)
class Copied:
    """What a copy came to."""

    source: Side
    target: Side

    @property
    def agrees(self) -> bool:
        """Whether both sides are the same; if not, the target was left empty."""
        return self.source == self.target

    @property
    def differing(self) -> list[str]:
        """The tables that are not the same on both sides."""
        there = self.target.sums
        return [name for name, here in self.source.sums.items() if here != there[name]]


def open_target(address: str) -> Database:
    """Return the database at *address*; nothing is opened before it is needed."""
    try:
        url = checked_database_url(address)
    except ConfigError as error:
        raise CopyError(f"the target {error.problem}") from error
    return connect(url)


def copy(source: Database, target: Database, *, told: Progress) -> Copied:
    """
    Copy all that is in *source* to the empty *target*, whose schema is made if needed.

    Raises CopyError in one line when the target is not empty, is the source itself,
    cannot be reached or does not take a row, and when the shop was at work meanwhile,
    because what it has sold would be lost. The target is then as empty as before.
    """
    _refuse_same_file(source, target)
    with _told_plainly(target.engine), _snapshot(source) as rows:
        here = Side(_sums(rows), _examine(rows))
        _make_ready(target)
        with _writing(target) as connection, connection.begin() as transaction:
            _require_empty(connection)
            _copy_tables(rows, connection, sum(here.rows.values()), told=told)
            copied = Copied(here, Side(_sums(connection), _examine(connection)))
            if not copied.agrees:
                transaction.rollback()
            _require_unchanged(source, here)
    return copied


@contextmanager
def _told_plainly(target: Engine, place: str = "") -> Iterator[None]:
    """Say in one line what a database refuses, and never with the password."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        password = target.url.password
        if password:
            reason = reason.replace(str(password), "***")
        raise CopyError(f"nothing was copied: {place}{reason}") from error


@contextmanager
def _snapshot(source: Database) -> Iterator[Connection]:
    """Read what is there at this moment, however long that takes."""
    with source.engine.connect() as connection:
        if not source.is_sqlite:
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            # Shared by all who copy from here, and in the way of who copies to here.
            connection.execute(select(func.pg_advisory_xact_lock_shared(COPY_KEY)))
        yield connection


def _writing(target: Database) -> Connection:
    options = (
        {"begin": "BEGIN IMMEDIATE"}
        if target.is_sqlite
        else {"isolation_level": "READ COMMITTED"}
    )
    return target.engine.execution_options(**options).connect()


def _refuse_same_file(source: Database, target: Database) -> None:
    if source.is_sqlite and target.is_sqlite:
        file, other = (Path(str(each.engine.url.database)) for each in (source, target))
        if other.exists() and other.samefile(file):
            raise CopyError("the target is the shop's own database")


def _make_ready(target: Database) -> None:
    """Migrate a new database; refuse, before that, one that is not empty."""
    with _writing(target) as connection, connection.begin():
        _require_empty(connection)
        there = {*inspect(connection).get_table_names()}
    if not there & {*METADATA.tables, "alembic_version"}:
        target.migrate()
    elif not target.is_migrated():
        raise CopyError(
            "the target has tables, but not this version's schema; run migrate there"
            " first, or name an empty database"
        )


def _require_empty(connection: Connection) -> None:
    """Refuse a database with a row in any of our tables; let nobody else add one."""
    there = {*inspect(connection).get_table_names()}
    ours = [table for table in TABLES if table.name in there]
    if connection.dialect.name == "postgresql":
        if not connection.scalar(select(func.pg_try_advisory_xact_lock(COPY_KEY))):
            raise CopyError(
                "the target is the shop's own database, or another copy is made of it"
                " or to it"
            )
        if ours:
            names = ", ".join(table.name for table in ours)
            connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
    for table in ours:
        row = select(literal(1)).select_from(table).limit(1)
        if connection.scalar(row) is not None:
            raise CopyError(f"the target is not empty: there are rows in {table.name}")


def _require_unchanged(source: Database, before: Side) -> None:
    with source.engine.connect() as connection:
        if _sums(connection) != before.sums:
            raise CopyError(
                "nothing was copied: the shop was at work meanwhile; stop it, then copy"
                " it again"
            )


def _copy_tables(
    source: Connection, target: Connection, total: int, *, told: Progress
) -> None:
    done = 0
    for table in TABLES:
        with (
            _told_plainly(target.engine, f"{table.name}: "),
            closing(_rows(source, table)) as rows,
        ):
            for batch in rows.partitions():
                target.execute(insert(table), [dict(row) for row in batch])
                done += len(batch)
                told(table.name, done, total)
    if target.dialect.name == "postgresql":
        _set_sequences(target)
        # A shop whose statistics say that it is empty would be slow at first.
        target.execute(text("ANALYZE"))


def _rows(source: Connection, table: Table) -> MappingResult:
    """Return the rows of *table*, of which only a batch is in memory at any moment."""
    return source.execute(
        select(table).order_by(*table.primary_key),
        execution_options={"stream_results": True, "yield_per": BATCH},
    ).mappings()


def _set_sequences(target: Connection) -> None:
    """Let PostgreSQL number on where the copied rows end."""
    for table in TABLES:
        column = table.autoincrement_column
        if column is None:
            continue
        last = target.scalar(select(func.max(column))) or 0
        sequence = target.scalar(
            select(func.pg_get_serial_sequence(table.name, column.name))
        )
        # Unlike setval, this is undone when the copy is rolled back.
        target.execute(text(f"ALTER SEQUENCE {sequence} RESTART {last + 1}"))


def _sums(connection: Connection) -> Sums:
    """
    Sum up what is there, quickly: two databases with the same rows have the same sums.

    Rows that were changed show in them, too, unless all that changed is a text and its
    length stayed the same.
    """
    found = {}
    for table in TABLES:
        by = [column for column in table.c if column.name == "status"]
        sums = [sum_ for column in table.c for sum_ in _sums_of(column)]
        query = select(func.count(), *by, *sums).select_from(table).group_by(*by)
        found[table.name] = {tuple(row) for row in connection.execute(query)}
    return found


def _sums_of(column: Column[Any]) -> list[ColumnElement[Any]]:
    kind = column.type
    if isinstance(kind, String):
        return [func.count(column), func.sum(func.length(column))]
    if isinstance(kind, Boolean):
        return [func.sum(cast(column, Integer))]
    if isinstance(kind, Integer):
        return [func.count(column), func.sum(column)]
    return [func.count(column), func.max(column)]


def _examine(connection: Connection) -> list[Finding]:
    with Session(connection) as session:
        return doctor.examine(session)
