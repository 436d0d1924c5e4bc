"""Who may write to SQLite next, among processes."""

import fcntl
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.database.engine import connect
from core.database.turn import Turn, turn_of
from tests.factories import add_product, eventually, levels
from tests.programs import environment

PATIENCE_SECONDS = 20

HOLD_FOR_EVER = """
import sys, signal
from core.database.turn import turn_of
with turn_of(sys.argv[1], 20)():
    print("mine", flush=True)
    signal.pause()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    path.touch()
    return path


@pytest.fixture
def turn(database: Path) -> Turn:
    return turn_of(str(database), PATIENCE_SECONDS)


def is_locked(database: Path, name: str) -> bool:
    if not Path(f"{database}-{name}").exists():
        return False
    with Path(f"{database}-{name}").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def held_elsewhere(database: Path) -> Iterator["subprocess.Popen[str]"]:
    """Let another process have the turn."""
    program = subprocess.Popen(
        [sys.executable, "-c", HOLD_FOR_EVER, str(database)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "mine\n"
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


def test_whoever_waits_is_not_overtaken_by_whoever_had_the_turn(
    turn: Turn, database: Path
) -> None:
    order: list[str] = []

    def other() -> None:
        with turn():
            order.append("other")

    with ThreadPoolExecutor(1) as threads:
        with turn():
            waiting = threads.submit(other)
            eventually(lambda: is_locked(database, "queue"))
        with turn():
            order.append("again")
        waiting.result(PATIENCE_SECONDS)

    assert order == ["other", "again"]


def test_one_at_a_time_has_the_turn(turn: Turn, database: Path) -> None:
    counter = database.with_name("counter")
    counter.write_text("0")

    def count() -> None:
        for _ in range(50):
            with turn():
                counter.write_text(str(int(counter.read_text()) + 1))

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(count) for _ in range(4)]:
            done.result(PATIENCE_SECONDS)

    assert counter.read_text() == "200"
    assert not is_locked(database, "turn")
    assert not is_locked(database, "queue")


def test_the_turn_of_a_process_that_dies_is_free(turn: Turn, database: Path) -> None:
    with held_elsewhere(database) as program:
        assert is_locked(database, "turn")
        program.kill()
        with turn():
            assert program.wait() != 0


def test_a_child_that_was_forked_meanwhile_does_not_keep_the_turn(
    turn: Turn, database: Path
) -> None:
    reading, writing = os.pipe()
    with turn(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads
        child = os.fork()
        if child == 0:
            os.read(reading, 1)  # until the parent has looked
            os._exit(0)
    try:
        assert not is_locked(database, "turn")
        assert not is_locked(database, "queue")
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_the_locks_may_be_used_by_whoever_may_use_the_database(
    turn: Turn, database: Path
) -> None:
    database.chmod(0o664)

    with turn():
        pass

    for name in ("queue", "turn"):
        assert Path(f"{database}-{name}").stat().st_mode & 0o777 == 0o664


def test_a_name_that_points_to_the_file_has_the_same_turn(
    turn: Turn, database: Path
) -> None:
    other = database.with_name("other.db")
    other.symlink_to(database)

    with turn_of(str(other))():
        assert is_locked(database, "turn")


@pytest.mark.parametrize("name", ["queue", "turn"])
def test_where_there_can_be_no_lock_sqlite_itself_decides(
    sqlite_url: str, name: str
) -> None:
    opened = connect(sqlite_url)
    path = Path(f"{opened.engine.url.database}-{name}")
    path.unlink(missing_ok=True)
    path.symlink_to("/nowhere/at/all")

    mug = add_product(opened)

    assert levels(opened, mug) == (5, 0)
    opened.engine.dispose()


def test_whoever_writes_to_the_shop_takes_turns(sqlite_url: str) -> None:
    opened = connect(sqlite_url)
    path = Path(str(opened.engine.url.database))

    locked: list[bool] = []
    opened.write(lambda _session: locked.append(is_locked(path, "turn")))
    opened.write_single(lambda _executor: locked.append(is_locked(path, "turn")))

    assert locked == [True, True]
    opened.engine.dispose()


def test_nobody_waits_for_ever_for_a_process_that_hangs(database: Path) -> None:
    with held_elsewhere(database) as program, turn_of(str(database), 0.1)():
        assert is_locked(database, "turn")
        assert program.poll() is None


@pytest.mark.parametrize("name", [None, "", ":memory:", "file::memory:?cache=shared"])
def test_in_memory_nobody_waits(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with turn_of(name, 1)(), turn_of(name, 1)():
        assert list(tmp_path.iterdir()) == []
