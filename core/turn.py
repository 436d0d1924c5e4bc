"""
The write turn of a SQLite database between processes, in order of arrival.

SQLite lets those who wait look again after longer and longer pauses, up to 100 ms, and
whoever asks at the right moment overtakes them all: of four processes one had 40 turns
while another had 2,000, and the longest wait was two seconds. So there are two locks of
the file system beside the database. Who holds the second may write; who holds the first
is next, and nobody overtakes him. The system frees both when a process dies.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from io import FileIO
from pathlib import Path

Turn = Callable[[], AbstractContextManager[None]]

PAUSE_SECONDS = 0.0001


def turn_of(database: str | None, patience_seconds: float) -> Turn:
    """
    Return how a process waits for its turn at this file; in memory there is no other.

    Nobody waits longer than that for whoever may be stopped within his turn: then
    SQLite itself decides, as it does about programs that do not ask for a turn.
    """
    if not database or database == ":memory:" or database.startswith("file:"):
        return nullcontext
    files = (Path(f"{database}-queue"), Path(f"{database}-turn"))
    return partial(_taken, *files, patience_seconds)


@contextmanager
def _taken(first: Path, second: Path, patience_seconds: float) -> Iterator[None]:
    until = time.monotonic() + patience_seconds
    # Opened anew each time, which costs little: a lock taken with a file that was
    # opened before a fork would belong to parent and child alike. Nothing is changed of
    # the files, or each sync of the disk would carry that, too.
    with first.open("ab", 0) as queue, second.open("ab", 0) as turn:
        _lock(queue, until)
        _lock(turn, until)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


def _lock(file: FileIO, until: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return
            time.sleep(PAUSE_SECONDS)
        else:
            return
