"""Looks at the shop every second of a run: what must hold at its end, holds always."""

import threading
import time
from types import TracebackType
from typing import Self

from sqlalchemy import text

from core.database.engine import Database, connect
from core.maintenance import doctor
from core.maintenance.doctor import Finding
from tests.factories import eventually


class Watcher:
    """
    `with Watcher(database_url) as watcher:` lets the doctor look on all the while.

    Each of the doctor's checks is one statement, so it sees one moment, whatever is
    going on. *looks* counts the moments at which it has looked, *findings* are what was
    wrong at any of them, and an error of its own is raised at the end.
    """

    def __init__(self, database_url: str, *, seconds: float = 1.0) -> None:
        self.looks = 0
        self.findings: list[Finding] = []
        self._url, self._seconds = database_url, seconds
        self._halt = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._halt.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "a look at the shop takes minutes"
        if self._error is not None:
            raise self._error

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def _watch(self) -> None:
        database = connect(self._url)
        try:
            while True:
                began = time.monotonic()
                with database.read() as session:
                    self.findings += doctor.examine(session)
                self.looks += 1
                if self._halt.wait(max(0, began + self._seconds - time.monotonic())):
                    return
        except Exception as error:
            self._error = error
        finally:
            database.engine.dispose()


def deadlocks(database: Database) -> int:
    """
    Ask how many deadlocks had to be broken: a try that came after would hide them.

    A connection tells of its own only when it rests or ends, so nobody else may be left
    who could.
    """
    if database.is_sqlite:
        return 0
    database.engine.dispose()
    with database.engine.connect() as connection:
        others = text(
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND backend_type = 'client backend'"
        )
        eventually(lambda: connection.scalar(others) == 0)
        counted = text(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(connection.scalar(counted) or 0)
