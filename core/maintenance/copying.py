"""
A shop moved to another database: every row as it is, or none.

The source is read in one snapshot, so that sales meanwhile cannot make the copy
inconsistent. The target is written in one transaction, committed only if the sums and
the doctor's findings agree on both sides and nobody wrote to the source meanwhile.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.config import checked_database_url
from core.database.engine import Database, connect, is_postgresql
from core.database.locks import COPY_KEY
from core.errors import ConfigError, CopyError
from core.maintenance import doctor
from core.models.every import METADATA, TABLES

Sums = dict[str, set[tuple[Any, ...]]]
"""By table: a tuple of sums for each status, the number of rows first."""
Progress = Callable[[str, int, int], None]
"""Called with a table's name, the rows copied until now, and the rows in all."""

BATCH = 1000


@dataclass(frozen=True)
class Side:
    """What one of the two databases holds, and the doctor's findings on it."""

    sums: Sums
    findings: list[doctor.Finding]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: sum(row[0] for row in rows) for name, rows in self.sums.items()}


@dataclass(frozen=True)
class Copied:
    """The outcome of a copy; unless it *agrees*, the target was left empty."""

    source: Side
    target: Side

    @property
    def agrees(self) -> bool:
        """Whether both sides are the same."""
        return self.source == self.target

    @property
    def differing(self) -> list[str]:
        """The tables whose sums are not the same on both sides."""
        there = self.target.sums
        return [name for name, here in self.source.sums.items() if here != there[name]]


def open_target(address: str) -> Database:
    """Return the database at *address*; opens nothing. Raises CopyError."""
    try:
        url = checked_database_url(address)
    except ConfigError as error:
        raise CopyError(f"the target {error.problem}") from error
    return connect(url)


def copy(source: Database, target: Database, *, told: Progress) -> Copied:
    """
    Copy all that is in *source* to the empty *target*, whose schema is made if needed.

    Raises CopyError, in one line, if the target is not empty, is the source itself,
    cannot be reached or refuses a row, and if the shop was at work meanwhile: what it
    sold would be lost. The target is then as empty as before.
    """
    _refuse_same_file(source, target)
    with _told_plainly(target.engine), _snapshot(source) as rows:
        here = _side(rows)
        _make_ready(target)
        with _writing(target) as connection, connection.begin() as transaction:
            _require_empty(connection)
            _copy_tables(rows, connection, sum(here.rows.values()), told=told)
            copied = Copied(here, _side(connection))
            if not copied.agrees:
                transaction.rollback()
            _require_unchanged(source, here)
    return copied


@contextmanager
def _told_plainly(target: sa.Engine, place: str = "") -> Iterator[None]:
    """Turn a database's error into a CopyError of one line, without the password."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if target.url.password:
            reason = reason.replace(str(target.url.password), "***")
        raise CopyError(f"nothing was copied: {place}{reason}") from error


@contextmanager
def _snapshot(source: Database) -> Iterator[Connection]:
    """Give a connection that reads all tables as they are at this moment."""
    with source.engine.connect() as connection:
        if not source.is_sqlite:
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            # Copies from here share the lock; a copy to here is refused.
            connection.execute(select(func.pg_advisory_xact_lock_shared(COPY_KEY)))
        yield connection


def _writing(target: Database) -> Connection:
    options = {"isolation_level": "READ COMMITTED"}
    if target.is_sqlite:
        options = {"begin": "BEGIN IMMEDIATE"}
    return target.engine.execution_options(**options).connect()


def _refuse_same_file(source: Database, target: Database) -> None:
    if source.is_sqlite and target.is_sqlite:
        file, other = (Path(str(each.engine.url.database)) for each in (source, target))
        if other.exists() and other.samefile(file):
            raise CopyError("the target is the shop's own database")


def _make_ready(target: Database) -> None:
    """Migrate a new database; refuse one that is not empty first."""
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
    """Refuse a database with rows in our tables, and keep others from adding any."""
    there = {*inspect(connection).get_table_names()}
    ours = [table for table in TABLES if table.name in there]
    if is_postgresql(connection):
        if not connection.scalar(select(func.pg_try_advisory_xact_lock(COPY_KEY))):
            problem = (
                "the target is the shop's own database, or another copy is made of"
            )
            raise CopyError(f"{problem} it or to it")
        if ours:
            names = ", ".join(table.name for table in ours)
            connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
    for table in ours:
        row = select(sa.literal(1)).select_from(table).limit(1)
        if connection.scalar(row) is not None:
            raise CopyError(f"the target is not empty: there are rows in {table.name}")


def _require_unchanged(source: Database, before: Side) -> None:
    with source.engine.connect() as connection:
        if _sums(connection) != before.sums:
            problem = "nothing was copied: the shop was at work meanwhile; stop it"
            raise CopyError(f"{problem}, then copy it again")


def _copy_tables(
    source: Connection, target: Connection, total: int, *, told: Progress
) -> None:
    done, in_batches = 0, {"stream_results": True, "yield_per": BATCH}
    for table in TABLES:
        query = select(table).order_by(*table.primary_key)
        with (
            _told_plainly(target.engine, f"{table.name}: "),
            closing(source.execute(query, execution_options=in_batches)) as rows,
        ):
            for batch in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in batch])
                done += len(batch)
                told(table.name, done, total)
    if is_postgresql(target):
        _set_sequences(target)
        # Without fresh statistics the shop would be slow at first.
        target.execute(text("ANALYZE"))


def _set_sequences(target: Connection) -> None:
    """Let PostgreSQL's next numbers follow those of the copied rows."""
    for table in TABLES:
        column = table.autoincrement_column
        if column is None:
            continue
        last = target.scalar(select(func.max(column))) or 0
        name = func.pg_get_serial_sequence(table.name, column.name)
        sequence = target.scalar(select(name))
        # Unlike setval, this is undone when the copy is rolled back.
        target.execute(text(f"ALTER SEQUENCE {sequence} RESTART {last + 1}"))


def _side(connection: Connection) -> Side:
    with Session(connection) as session:
        return Side(_sums(connection), doctor.examine(session))


def _sums(connection: Connection) -> Sums:
    """
    Sum up every table: the same rows have the same sums in both databases.

    A changed row shows, unless only a text changed and kept its length.
    """
    found = {}
    for table in TABLES:
        by = [column for column in table.c if column.name == "status"]
        sums = [sum_ for column in table.c for sum_ in _sums_of(column)]
        query = select(func.count(), *by, *sums).select_from(table).group_by(*by)
        found[table.name] = {tuple(row) for row in connection.execute(query)}
    return found


def _sums_of(column: sa.Column[Any]) -> list[sa.ColumnElement[Any]]:
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return [func.sum(sa.cast(column, sa.Integer))]
    if isinstance(kind, sa.String):
        return [func.count(column), func.sum(func.length(column))]
    if isinstance(kind, sa.Integer):
        return [func.count(column), func.sum(column)]
    return [func.count(column), func.max(column)]
