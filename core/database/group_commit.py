"""
One writer at a time, in order of arrival, with the commits of many folded into one.

SQLite has one write transaction at a time and lets the others poll for it, which is not
fair: with 16 threads the longest wait was over a second. Here the threads of a process
queue. Whoever finds nobody at work leads: it does the work of all who wait in one
transaction, each in a savepoint of its own, and passes the lead to the oldest of those
who came meanwhile. One sync of the disk then serves them all.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.database.turn import Turn
from core.errors import BusyError

Work = Callable[[Any], Any]  # given a session, or the connection itself

# More in one transaction would make the first of them wait for the last.
MOST_AT_ONCE = 64


class _UndoneError(Exception):
    """One work's error has rolled back what others had done before it."""


class _Job:
    """Somebody's work, and where it waits for the answer or for the lead."""

    def __init__(self, work: Work, *, in_session: bool) -> None:
        self.work = work
        self.in_session = in_session
        self.answer: Any = None
        self.error: Exception | None = None
        self.is_done = False
        self.woken = threading.Event()


class FoldedWrites:
    """The write turn of a SQLite database within this process."""

    def __init__(self, engine: Engine, turn: Turn) -> None:
        """
        Take an *engine* whose transactions begin with the right to write.

        *turn* is how this process waits for the others.
        """
        self._engine = engine
        self._turn = turn
        self._mutex = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._is_led = False

    def write(self, work: Work, *, in_session: bool = True) -> Any:
        """
        Do *work*, perhaps in another thread, and return its answer once committed.

        An error that it raises rolls back its own changes and nobody else's. Without
        a session it is given the connection itself, which is quicker.
        """
        job = _Job(work, in_session=in_session)
        with self._mutex:
            self._waiting.append(job)
            must_wait, self._is_led = self._is_led, True
        if must_wait:
            self._await(job)
        if not job.is_done:
            self._lead()
        if job.error is not None:
            raise job.error
        return job.answer

    def _lead(self) -> None:
        with self._mutex:
            count = min(len(self._waiting), MOST_AT_ONCE)
            jobs = [self._waiting.popleft() for _ in range(count)]
        try:
            with self._turn():
                self._carry_out(jobs)
        finally:
            for job in jobs:
                if not job.is_done:  # this thread was interrupted
                    job.error, job.is_done = BusyError(), True
                job.woken.set()
            with self._mutex:
                self._pass_on()

    def _await(self, job: _Job) -> None:
        try:
            job.woken.wait()
        except BaseException:  # Ctrl-C, in the main thread
            with self._mutex:
                if job in self._waiting:
                    self._waiting.remove(job)
                    if job.woken.is_set():  # it was to lead
                        self._pass_on()
            raise

    def _pass_on(self) -> None:
        self._is_led = bool(self._waiting)
        if self._is_led:
            self._waiting[0].woken.set()

    def _carry_out(self, jobs: list[_Job]) -> None:
        try:
            with self._engine.begin() as connection:
                _work_off(jobs, connection)
        except _UndoneError:
            # Each time it is one fewer: whoever failed has its error.
            if rest := [job for job in jobs if job.error is None]:
                self._carry_out(rest)
        except Exception as error:
            for job in jobs:
                job.error = job.error or error
        for job in jobs:
            job.is_done = True


def _work_off(jobs: list[_Job], connection: Connection) -> None:
    # Straight to the driver: SQLAlchemy's savepoint costs more than what it guards.
    driver: Any = connection.connection.driver_connection
    session = None
    for job in jobs:
        driver.execute("SAVEPOINT job")
        try:
            if job.in_session:
                session = session or _session(connection)
                job.answer = job.work(session)
                session.flush()
                session.expunge_all()
            else:
                job.answer = job.work(connection)
        except Exception as error:
            # After some errors, a full disk for one, SQLite has rolled back the whole
            # transaction: then nobody's work stands. A session does so, too, after a
            # flush that failed, but then the others are not to blame.
            if not driver.in_transaction:
                if isinstance(error, OperationalError):
                    raise
                job.error = error
                raise _UndoneError from error
            driver.execute("ROLLBACK TO job")
            job.error = error
            session = None
        driver.execute("RELEASE job")


def _session(connection: Connection) -> Session:
    """Return a session that leaves it to its connection to commit."""
    return Session(connection, join_transaction_mode="rollback_only")
