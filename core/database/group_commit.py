"""
Group commit for SQLite: one writer at a time, in order of arrival, one sync for many.

SQLite has one write transaction at a time and lets the others poll for it, which is not
fair: with 16 threads the longest wait was over a second. Here the threads of a process
queue. The first is the leader: it does the work of all that wait in one transaction,
each in a savepoint, and hands over to the oldest of those that came meanwhile. One sync
of the disk serves them all.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.database.turn import Turn
from core.errors import BusyError

Work = Callable[[Any], Any]  # given a session, or the connection itself

# With more in one transaction the first would wait for the last.
MOST_AT_ONCE = 64


class _UndoneError(Exception):
    """One job's error has rolled back the jobs before it."""


@dataclass(eq=False)
class _Job:
    """Work of one thread, which waits for the answer or for the lead."""

    work: Work
    in_session: bool
    answer: Any = None
    error: Exception | None = None
    is_done: bool = False
    woken: threading.Event = field(default_factory=threading.Event)


class GroupCommit:
    """
    The writers of a SQLite database within this process.

    *engine* begins transactions with the write lock; *turn* waits for other processes.
    """

    def __init__(self, engine: Engine, turn: Turn) -> None:
        self._engine = engine
        self._turn = turn
        self._mutex = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._is_led = False

    def write(self, work: Work, *, in_session: bool = True) -> Any:
        """
        Do *work*, perhaps in another thread, and return its answer once committed.

        An error that it raises rolls back its own changes only. Unless *in_session* it
        gets the connection itself, which is quicker.
        """
        job = _Job(work, in_session)
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
            # One fewer each time: the one that failed has its error.
            if rest := [job for job in jobs if job.error is None]:
                self._carry_out(rest)
        except Exception as error:
            for job in jobs:
                job.error = job.error or error
        for job in jobs:
            job.is_done = True


def _work_off(jobs: list[_Job], connection: Connection) -> None:
    # By the driver: SQLAlchemy's savepoint costs more than the work in it.
    driver: Any = connection.connection.driver_connection
    session = None
    for job in jobs:
        driver.execute("SAVEPOINT job")
        try:
            if job.in_session:
                # It leaves the commit to its connection.
                session = session or Session(
                    connection, join_transaction_mode="rollback_only"
                )
                job.answer = job.work(session)
                session.flush()
                session.expunge_all()
            else:
                job.answer = job.work(connection)
        except Exception as error:
            # After some errors, such as a full disk, SQLite has rolled back the whole
            # transaction: no job stands. So does a session after a failed flush, but
            # then only this job is to blame.
            if not driver.in_transaction:
                if isinstance(error, OperationalError):
                    raise
                job.error = error
                raise _UndoneError from error
            driver.execute("ROLLBACK TO job")
            job.error = error
            session = None
        driver.execute("RELEASE job")
