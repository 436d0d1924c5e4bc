"""Who may write to SQLite next, among processes."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.turn import Turn, turn_of
from tests.factories import eventually
from tests.programs import environment

PATIENCE_SECONDS = 20

HOLD_FOR_EVER = """
import sys, signal
from core.turn import turn_of
with turn_of(sys.argv[1], 20)():
    print("mine", flush=True)
    signal.pause()
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def turn(database: Path) -> Turn:
    return turn_of(str(database), PATIENCE_SECONDS)


def is_locked(database: Path, name: str) -> bool:
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


def test_nobody_waits_for_ever_for_a_process_that_hangs(database: Path) -> None:
    with held_elsewhere(database), turn_of(str(database), 0.1)():
        assert is_locked(database, "turn")


@pytest.mark.parametrize("name", [None, "", ":memory:", "file::memory:?cache=shared"])
def test_in_memory_nobody_waits(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with turn_of(name, 1)(), turn_of(name, 1)():
        assert list(tmp_path.iterdir()) == []
