"""SQLite's write turn in a process: who is served when, what an error undoes."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import partial

import pytest
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from core.database import engine as engines
from core.database.engine import connect
from core.database.group_commit import MOST_AT_ONCE, GroupCommit, Work
from core.errors import BusyError
from core.models.base import table
from core.models.owner import Owner
from tests.factories import at_once, eventually
from tests.programs import environment

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 20
LONG_AGO = datetime.fromisoformat("2026-11-22T12:00:00+00:00")


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    opened = connect(sqlite_url)
    yield opened.engine
    opened.engine.dispose()


@pytest.fixture
def writes(engine: Engine) -> GroupCommit:
    return group_commit(engine)


def group_commit(engine: Engine) -> GroupCommit:
    return GroupCommit(engine.execution_options(begin="BEGIN IMMEDIATE"), nullcontext)


@pytest.fixture
def commits(engine: Engine) -> list[int]:
    """Give a list that grows with every commit."""
    counted: list[int] = []
    event.listen(engine, "commit", counted.append)
    return counted


class Caller(threading.Thread):
    """Somebody who has work done; a test that fails does not wait for him."""

    def __init__(self, writes: GroupCommit, work: Work) -> None:
        super().__init__(daemon=True)
        self._writes, self._work = writes, work
        self._answer: object = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._answer = self._writes.write(self._work)
        except BaseException as error:
            self._error = error

    def answer(self) -> object:
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive(), "nobody has served him"
        if self._error is not None:
            raise self._error
        return self._answer


@contextmanager
def turn_taken(writes: GroupCommit) -> Iterator[Callable[[Work], Caller]]:
    """Hold the write turn, so that all who are handed in meanwhile wait in order."""
    begun, go = threading.Event(), threading.Event()

    def hold(_session: Session) -> None:
        begun.set()
        assert go.wait(PATIENCE_SECONDS)

    def hand_in(work: Work) -> Caller:
        before = len(writes._waiting)
        caller = Caller(writes, work)
        caller.start()
        eventually(lambda: len(writes._waiting) > before)
        return caller

    holder = Caller(writes, hold)
    holder.start()
    assert begun.wait(PATIENCE_SECONDS)
    try:
        yield hand_in
    finally:
        go.set()
        holder.join(PATIENCE_SECONDS)


def owner(email: str) -> dict[str, object]:
    return {"email": email, "password_hash": "", "created_at": LONG_AGO}


def add(email: str) -> Work:
    """Return work that adds an owner and answers with the address."""

    def work(session: Session) -> str:
        session.execute(insert(table(Owner)), owner(email))
        return email

    return work


def emails(engine: Engine) -> list[str]:
    """Look over a connection of its own, as another process would."""
    path = str(engine.url.database)
    looking = sqlite3.connect(path)
    try:
        return [row[0] for row in looking.execute("SELECT email FROM owner")]
    finally:
        looking.close()


def test_all_are_served_in_order_of_arrival(writes: GroupCommit) -> None:
    count = MOST_AT_ONCE + 6
    served: list[int] = []

    def work(number: int, _session: Session) -> int:
        served.append(number)
        return number

    with turn_taken(writes) as hand_in:
        callers = [hand_in(partial(work, number)) for number in range(count)]

    assert [caller.answer() for caller in callers] == list(range(count))
    assert served == list(range(count))


def test_one_commit_serves_all_who_waited(
    writes: GroupCommit, engine: Engine, commits: list[int]
) -> None:
    names = [f"{number}@shop.example" for number in range(5)]
    with turn_taken(writes) as hand_in:
        callers = [hand_in(add(name)) for name in names]

    assert [caller.answer() for caller in callers] == names
    assert emails(engine) == names
    assert len(commits) == 2  # the holder's, and one for all the others


def test_of_too_many_at_once_the_rest_share_the_next_commit(
    writes: GroupCommit, engine: Engine, commits: list[int]
) -> None:
    names = [f"{number:03}@shop.example" for number in range(MOST_AT_ONCE + 6)]
    with turn_taken(writes) as hand_in:
        callers = [hand_in(add(name)) for name in names]

    assert [caller.answer() for caller in callers] == names
    assert sorted(emails(engine)) == names
    assert len(commits) == 3


def test_nobody_is_answered_before_the_commit(
    writes: GroupCommit, engine: Engine
) -> None:
    begun, go = threading.Event(), threading.Event()

    def last(_session: Session) -> None:
        begun.set()
        assert go.wait(PATIENCE_SECONDS)

    with turn_taken(writes) as hand_in:
        first = hand_in(add("first@shop.example"))
        hand_in(last)
    assert begun.wait(PATIENCE_SECONDS)
    was_answered, seen = not first.is_alive(), emails(engine)
    go.set()

    assert (was_answered, seen) == (False, [])
    assert first.answer() == "first@shop.example"
    assert emails(engine) == ["first@shop.example"]


def by_statement(session: Session) -> None:
    session.execute(insert(table(Owner)), owner("lost@shop.example"))
    session.execute(insert(table(Owner)), owner("first@shop.example"))


def by_flush(session: Session) -> None:
    session.execute(insert(table(Owner)), owner("lost@shop.example"))
    session.add(Owner(**owner("first@shop.example")))
    session.flush()


def by_flush_at_the_end(session: Session) -> None:
    session.execute(insert(table(Owner)), owner("lost@shop.example"))
    session.add(Owner(**owner("first@shop.example")))


def by_flush_in_a_savepoint(session: Session) -> None:
    session.execute(insert(table(Owner)), owner("lost@shop.example"))
    session.begin_nested()
    session.add(Owner(**owner("first@shop.example")))
    session.flush()


@pytest.mark.parametrize(
    "refused", [by_statement, by_flush, by_flush_at_the_end, by_flush_in_a_savepoint]
)
def test_an_error_undoes_its_own_changes_and_nobody_elses(
    writes: GroupCommit, engine: Engine, refused: Work
) -> None:
    with turn_taken(writes) as hand_in:
        first = hand_in(add("first@shop.example"))
        failing = hand_in(refused)
        second = hand_in(add("second@shop.example"))

    with pytest.raises(IntegrityError):
        failing.answer()
    assert first.answer() == "first@shop.example"
    assert second.answer() == "second@shop.example"
    assert emails(engine) == ["first@shop.example", "second@shop.example"]


def tries_and_goes_on(session: Session) -> str:
    """Add somebody in a savepoint, undo that, and add somebody else."""
    session.execute(insert(table(Owner)), owner("before@shop.example"))
    savepoint = session.begin_nested()
    session.execute(insert(table(Owner)), owner("undone@shop.example"))
    savepoint.rollback()
    session.execute(insert(table(Owner)), owner("after@shop.example"))
    return "went on"


def gives_up_in_a_savepoint(session: Session) -> None:
    session.execute(insert(table(Owner)), owner("lost@shop.example"))
    session.begin_nested()
    session.execute(insert(table(Owner)), owner("lost-too@shop.example"))
    raise KeyError("midway")


def test_a_savepoint_inside_a_work_is_its_own(
    writes: GroupCommit, engine: Engine
) -> None:
    with turn_taken(writes) as hand_in:
        first = hand_in(add("first@shop.example"))
        failing = hand_in(gives_up_in_a_savepoint)
        trying = hand_in(tries_and_goes_on)
        last = hand_in(add("last@shop.example"))

    with pytest.raises(KeyError):
        failing.answer()
    assert [caller.answer() for caller in (first, trying, last)] == [
        *("first@shop.example", "went on", "last@shop.example")
    ]
    assert [email.split("@")[0] for email in emails(engine)] == [
        *("first", "before", "after", "last")
    ]


def test_what_one_has_loaded_the_next_does_not_see(writes: GroupCommit) -> None:
    held: list[Owner] = []

    def load(session: Session) -> None:
        session.execute(insert(table(Owner)), owner("first@shop.example"))
        held.extend(session.scalars(select(Owner)))

    with turn_taken(writes) as hand_in:
        loading = hand_in(load)
        looking = hand_in(lambda session: [*session.identity_map.values()])

    loading.answer()
    assert looking.answer() == []
    assert held[0].email == "first@shop.example"


def test_a_full_disk_fails_everybody_and_leaves_nothing(
    writes: GroupCommit, engine: Engine
) -> None:
    @event.listens_for(engine, "connect")
    def fill_up(connection: sqlite3.Connection, _record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 4}")

    with turn_taken(writes) as hand_in:
        callers = [
            hand_in(add("first@shop.example")),
            hand_in(add("x" * 1_000_000)),
            hand_in(add("last@shop.example")),
        ]

    for caller in callers:
        with pytest.raises(OperationalError, match="disk is full"):
            caller.answer()
    assert emails(engine) == []
    assert writes.write(add("small@shop.example")) == "small@shop.example"


class InterruptionError(BaseException):
    """What no `except Exception` catches, as Ctrl-C."""


def interrupt(*_: object) -> None:
    raise InterruptionError


def test_whoever_leads_and_is_interrupted_leaves_nobody_waiting(
    writes: GroupCommit, engine: Engine
) -> None:
    begun, go = threading.Event(), threading.Event()

    def wait_then_interrupt(_session: Session) -> None:
        begun.set()
        assert go.wait(PATIENCE_SECONDS)
        interrupt()

    with turn_taken(writes) as hand_in:
        leading = hand_in(wait_then_interrupt)
        following = hand_in(add("following@shop.example"))
    assert begun.wait(PATIENCE_SECONDS)
    later = Caller(writes, add("later@shop.example"))
    later.start()
    eventually(lambda: len(writes._waiting) == 1)
    go.set()

    with pytest.raises(InterruptionError):
        leading.answer()
    with pytest.raises(BusyError):
        following.answer()
    assert later.answer() == "later@shop.example"
    assert emails(engine) == ["later@shop.example"]


@contextmanager
def interrupted_when(condition: Callable[[], object]) -> Iterator[None]:
    """Interrupt the main thread, as Ctrl-C does, as soon as *condition* holds."""

    def watch() -> None:
        eventually(condition)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    watching = threading.Thread(target=watch, daemon=True)
    try:
        watching.start()
        yield
    finally:
        watching.join(PATIENCE_SECONDS)
        signal.signal(signal.SIGUSR1, before)


def test_whoever_waits_and_is_interrupted_leaves_nobody_waiting(
    writes: GroupCommit, engine: Engine
) -> None:
    with turn_taken(writes) as hand_in:
        with (
            interrupted_when(lambda: len(writes._waiting) == 1),
            pytest.raises(InterruptionError),
        ):
            writes.write(add("interrupted@shop.example"))
        later = hand_in(add("later@shop.example"))

    assert later.answer() == "later@shop.example"
    assert emails(engine) == ["later@shop.example"]


def test_a_busy_database_is_told_to_all_who_wait(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_MS", 200)
    opened = connect(sqlite_url)
    writes = group_commit(opened.engine)
    elsewhere = sqlite3.connect(str(opened.engine.url.database))
    elsewhere.execute("BEGIN IMMEDIATE")

    outcomes = at_once(
        [partial(writes.write, add(f"{number}@shop.example")) for number in range(4)]
    )
    elsewhere.close()

    assert [type(outcome) for outcome in outcomes] == [OperationalError] * 4
    assert emails(opened.engine) == []
    opened.engine.dispose()


@pytest.mark.slow
def test_sixteen_writers_are_all_served(writes: GroupCommit, engine: Engine) -> None:
    waits: list[float] = []

    def write_often(thread: int) -> list[object]:
        answers = []
        for number in range(100):
            began = time.perf_counter()
            answers.append(writes.write(add(f"{thread}-{number}@shop.example")))
            waits.append(time.perf_counter() - began)
            assert answers[-1] in emails(engine)
        return answers

    answers = at_once([partial(write_often, thread) for thread in range(16)])

    logger.info("the longest wait was %.0f ms", max(waits) * 1000)
    assert [each for each in answers if isinstance(each, Exception)] == []
    told = [str(one) for each in answers if isinstance(each, list) for one in each]
    assert len(told) == 16 * 100
    assert sorted(told) == sorted(emails(engine))


@pytest.mark.slow
def test_what_was_answered_is_there_after_a_kill(
    engine: Engine, sqlite_url: str
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, sqlite_url],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    told = [program.stdout.readline() for _ in range(200)]
    os.kill(program.pid, signal.SIGKILL)
    told += program.stdout.readlines()
    program.stdout.close()
    program.wait(PATIENCE_SECONDS)

    answered = {line.strip() for line in told if line.endswith("\n")}
    assert len(answered) >= 200
    assert answered <= set(emails(engine))


WRITE_FOR_EVER = """
import itertools, sys, threading
from core.database.engine import connect
from tests.core.database.test_group_commit import add

shop = connect(sys.argv[1])
numbers = itertools.count()

def write():
    while True:
        answer = shop.write(add(f"{next(numbers)}@shop.example"))
        sys.stdout.write(answer + "\\n")
        sys.stdout.flush()

for _ in range(8):
    threading.Thread(target=write).start()
"""
