"""
The write turn of a SQLite database among processes.

SQLite lets those who wait look again after longer and longer pauses, up to 100 ms, and
whoever asks at the right moment overtakes them all: of four processes one had 40 turns
while another had 2,000, and the longest wait was two seconds. So there are two locks of
the file system beside the database. Who holds the second may write; who holds the first
is next, and nobody overtakes him. The system frees both when a process dies.

The turn is about who waits how long, never about what is true: without it SQLite itself
decides. So it fails nobody, and nobody waits for it for ever.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

Turn = Callable[[], AbstractContextManager[None]]

# Whoever is stopped within his turn, or writes for so long, stops the others no longer.
PATIENCE_SECONDS = 3.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.0001, 0.0004


def turn_of(database: str | None, patience_seconds: float = PATIENCE_SECONDS) -> Turn:
    """
    Return how this process waits for its turn at the file *database*, as a context.

    After *patience_seconds* for each of the two locks, or where there can be no locks,
    it goes on without. A database in memory, which has no file, has no turn.
    """
    if not database or database == ":memory:" or database.startswith("file:"):
        return nullcontext
    return partial(_taken, os.path.realpath(database), patience_seconds)


@contextmanager
def _taken(database: str, patience_seconds: float) -> Iterator[None]:
    held: list[int] = []
    try:
        # No disk has to allow locks, and no account has to have its files open to all.
        with suppress(OSError):
            # Opened anew each time, which costs little: a lock that was taken with a
            # file opened before a fork would belong to parent and child alike.
            held.append(_open(database, "queue"))
            _lock(held[0], patience_seconds)
            held.append(_open(database, "turn"))
            _lock(held[1], patience_seconds)
            fcntl.flock(held[0], fcntl.LOCK_UN)
        yield
    finally:
        for file in held:
            # Not by closing alone: a child that was forked meanwhile has it open, too.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)


def _open(database: str, name: str) -> int:
    """Open a lock file for its lock alone, so that no sync has anything of it."""
    path = f"{database}-{name}"
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    # Whoever may write the database may lock it, even if root was the first to do so.
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
