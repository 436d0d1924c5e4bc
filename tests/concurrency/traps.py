"""
Traps that hold a process inside a change of the database, on both databases.

Each is a trigger of the test's own, at the last thing that the change does.
"""

from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.database.engine import Database
from tests.factories import eventually

PATIENCE_SECONDS = 30
KEY = 4711
# More than the cache takes, so that it is seen in the WAL.
FILL = "INSERT INTO written SELECT randomblob(4000) FROM endless LIMIT 4000"
NEVER_END = "SELECT count(*) FROM endless"
SEEN_BYTES = 6_000_000


class Trap(ABC):
    """Holds whoever makes a certain change, before it is committed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @abstractmethod
    def set(self, change: str, table: str, condition: str) -> None:
        """Hold each *change* of a row of *table* that fits *condition*."""

    @abstractmethod
    def is_sprung(self) -> bool:
        """Tell whether somebody stands there."""

    @abstractmethod
    def clear(self) -> None:
        """Take the trap away, and what stands there; its process was killed."""

    def wait(self) -> None:
        eventually(self.is_sprung, seconds=PATIENCE_SECONDS)

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self._database.write(partial(_execute, statement=statement))


def _execute(session: Session, statement: str) -> None:
    session.execute(text(statement))


class PostgresTrap(Trap):
    """
    The commit waits for a lock that the test has.

    A server that waits does not see that its client was killed, and would commit later.
    To clear the trap ends its connection, as if it had seen that.
    """

    def set(self, change: str, table: str, condition: str) -> None:
        self._holder = self._database.engine.connect()
        self._ask(f"SELECT pg_advisory_lock({KEY})")
        self._table = table
        self._run(
            "CREATE FUNCTION stand() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" PERFORM pg_advisory_xact_lock({KEY}); RETURN NULL; END $$",
            f"CREATE CONSTRAINT TRIGGER stand AFTER {change} ON {table}"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION stand()",
        )

    def is_sprung(self) -> bool:
        return bool(self._waiting())

    def clear(self) -> None:
        eventually(self._is_empty)
        self.let_commit()

    def _is_empty(self) -> bool:
        """End whoever stands there; another may have waited behind him for the row."""
        waiting = self._waiting()
        for pid in waiting:
            self._ask(f"SELECT pg_terminate_backend({pid})")
        return not waiting

    def let_commit(self) -> None:
        """Let those who wait commit, and take the trap away when they have."""
        self._ask(f"SELECT pg_advisory_unlock({KEY})")
        self._holder.close()
        # It waits for the transactions that have changed the table.
        self._run(f"DROP TRIGGER stand ON {self._table}", "DROP FUNCTION stand()")

    def _waiting(self) -> list[int]:
        return self._ask(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )

    def _ask(self, statement: str) -> list[Any]:
        return [row[0] for row in self._holder.exec_driver_sql(statement)]


class SqliteTrap(Trap):
    """
    The last statement of the change never ends.

    It writes more than the cache takes, so the half transaction is seen in the WAL, and
    is still there when its process was killed.
    """

    def set(self, change: str, table: str, condition: str) -> None:
        self._run(
            "CREATE TABLE written (page BLOB)",
            "CREATE VIEW endless AS WITH RECURSIVE number (n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT n FROM number",
            f"CREATE TRIGGER stand AFTER {change} ON {table} WHEN {condition}"
            f" BEGIN {FILL}; {NEVER_END}; END",
        )

    def is_sprung(self) -> bool:
        log = Path(f"{self._database.engine.url.database}-wal")
        return log.exists() and log.stat().st_size > SEEN_BYTES

    def clear(self) -> None:
        self._run("DROP TRIGGER stand", "DROP VIEW endless", "DROP TABLE written")
