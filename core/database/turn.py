"""
The write turn of a SQLite database among processes.

SQLite's waiters poll with growing pauses, up to 100 ms, and a late comer may overtake
them all: of four processes one had 40 turns while another had 2,000, and the longest
wait was two seconds. So there are two file locks beside the database. The holder of the
second may write; the holder of the first is next, and cannot be overtaken. The system
frees both when a process dies.

The turn decides how long a process waits, never whether it may write: that is SQLite's
lock. So no write fails because of it, and no wait is endless.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

Turn = Callable[[], AbstractContextManager[None]]

# A process that is stopped in its turn, or writes this long, blocks the others no more.
PATIENCE_SECONDS = 3.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.0001, 0.0004


def turn_of(database: str | None, patience_seconds: float = PATIENCE_SECONDS) -> Turn:
    """
    Return how this process waits for its turn at the file *database*, as a context.

    It goes on without a lock after *patience_seconds* for each of the two, and where
    there can be none. A database in memory has no turn.
    """
    if not database or database == ":memory:" or database.startswith("file:"):
        return nullcontext
    return partial(_taken, os.path.realpath(database), patience_seconds)


@contextmanager
def _taken(database: str, patience_seconds: float) -> Iterator[None]:
    held: list[int] = []
    try:
        # The disk may not support locks, or the account may not open these files.
        with suppress(OSError):
            # Opened each time, which is cheap: a lock on a file that was opened before
            # a fork would belong to parent and child.
            held.append(_open(database, "queue"))
            _lock(held[0], patience_seconds)
            held.append(_open(database, "turn"))
            _lock(held[1], patience_seconds)
            fcntl.flock(held[0], fcntl.LOCK_UN)
        yield
    finally:
        for file in held:
            # Closing is not enough: a child forked meanwhile has it open, too.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)


def _open(database: str, name: str) -> int:
    """Open a lock file read-only: nothing is ever written to it."""
    path = f"{database}-{name}"
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    # Everybody who may write the database may lock it, even if root did so first.
    owner = Path(database).stat()
    file = os.open(path, flags | os.O_CREAT, 0o600)
    with suppress(OSError):
        os.fchmod(file, owner.st_mode & 0o666)
        os.fchown(file, owner.st_uid, owner.st_gid)
    return file


def _lock(file: int, patience_seconds: float) -> None:
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - began
            if waited > patience_seconds:
                return
            pause = max(SHORTEST_PAUSE_SECONDS, waited / 20)
            time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        else:
            return
