"""`flask migrate` as operators run it: from two places at once, and again."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from core.database.engine import Database, connect
from core.database.locks import MIGRATION_KEY
from core.models.base import Base
from tests.factories import ask, eventually
from tests.programs import ROOT, environment

PATIENCE_SECONDS = 60
Part = subprocess.Popen[str]


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    opened = connect(empty_url)
    yield opened
    opened.engine.dispose()


@contextmanager
def door_closed(database: Database) -> Iterator[None]:
    """Let nobody migrate meanwhile."""
    if database.is_sqlite:
        with database.engine.execution_options(begin="BEGIN IMMEDIATE").begin():
            yield
        return
    with database.engine.execution_options(
        isolation_level="READ COMMITTED"
    ).begin() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_KEY}
        )
        yield


def at_the_door(database: Database, parts: list[Part]) -> int:
    """Count the processes that wait for their turn."""
    if database.is_sqlite:
        path = str(database.engine.url.database)
        return sum(has_open(part, path) for part in parts)
    query = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )
    return int(ask(database, lambda session: session.scalars(query).one()))


def has_open(part: Part, path: str) -> bool:
    for link in Path(f"/proc/{part.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we looked
            if str(link.readlink()) == path:
                return True
    return False


def begin_migrate(database: Database, folder: Path) -> Part:
    url = database.engine.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "storefront", "migrate"],
        cwd=ROOT,
        env=environment(DATABASE_URL=url, DATA_DIR=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(parts: list[Part]) -> list[tuple[int, str]]:
    """Wait for all of them; return exit codes and what they said."""
    said = [part.communicate(timeout=PATIENCE_SECONDS)[0] for part in parts]
    return [(part.returncode, words) for part, words in zip(parts, said, strict=True)]


def schema(database: Database) -> tuple[set[str], list[str]]:
    """Return the names of the tables, and of all versions that are noted."""
    query = text("SELECT version_num FROM alembic_version")
    versions = ask(database, lambda session: list(session.scalars(query)))
    return {*inspect(database.engine).get_table_names()}, versions


@pytest.mark.slow
def test_two_migrate_commands_at_once_and_one_more_make_one_schema(
    empty: Database, tmp_path: Path
) -> None:
    with door_closed(empty):
        parts = [begin_migrate(empty, tmp_path) for _ in range(2)]
        eventually(lambda: at_the_door(empty, parts) == 2, seconds=PATIENCE_SECONDS)
    assert end(parts) == [(0, "")] * 2
    made = schema(empty)

    again = begin_migrate(empty, tmp_path)

    assert end([again]) == [(0, "")]
    assert schema(empty) == made
    assert empty.is_migrated()
    assert {*Base.metadata.tables} < made[0]
    assert len(made[1]) == 1
