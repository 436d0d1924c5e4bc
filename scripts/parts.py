"""
A program of the shop, run in a session of its own.

So Ctrl-C reaches the supervisor alone. If the supervisor is killed, the kernel sends
the program SIGTERM.
"""

import contextlib
import ctypes
import http.client
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None)


class PartError(Exception):
    """A part failed; *lines* are its last output."""

    def __init__(self, reason: str, lines: list[str]) -> None:
        super().__init__(reason)
        self.lines = lines


class Output:
    """
    Writes lines to stdout from a thread of its own.

    A slow or dead reader must hold up neither the parts nor their end, so lines that do
    not fit into the queue are dropped.
    """

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=10_000)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def say(self, line: str) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line)

    def close(self) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._writer.join(timeout=1)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            # Not sys.stdout: its buffer is locked while a write waits, and the
            # interpreter aborts if that lock is taken when it exits.
            with contextlib.suppress(OSError):
                os.write(1, f"{line}\n".encode(errors="replace"))


@dataclass(frozen=True)
class Plan:
    """A program to run; it works when *port* answers 200 on all *paths*."""

    name: str
    arguments: tuple[str, ...]
    port: int = 0
    paths: tuple[str, ...] = ()


class Part:
    """A running program of the shop with all the processes that it starts."""

    def __init__(
        self, plan: Plan, environ: dict[str, str], say: Callable[[str], None]
    ) -> None:
        self.plan = plan
        self.lines: deque[str] = deque(maxlen=20)
        self._say = say
        self._program = subprocess.Popen(
            [sys.executable, *plan.arguments],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def exit_code(self) -> int | None:
        return self._program.poll()

    def last_lines(self) -> list[str]:
        self._reader.join(timeout=2)
        return list(self.lines)

    def check(self) -> None:
        code = self.exit_code()
        if code is not None:
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            raise PartError(f"The {self.plan.name} ended {how}.", self.last_lines())

    def answers(self) -> bool:
        return all(is_ok(self.plan.port, path) for path in self.plan.paths)

    def send(self, number: int) -> None:
        """Signal the whole process group, even if its leader is dead."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._program.pid, number)

    def is_gone(self) -> bool:
        self._program.poll()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-self._program.pid, os.WNOHANG) != (0, 0):
                pass
        try:
            os.killpg(self._program.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def _read(self) -> None:
        for line in self._program.stdout or ():
            self.lines.append(line.rstrip())
            self._say(f"{self.plan.name:<10} | {line.rstrip()}")


def die_with(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the line above.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def is_ok(port: int, path: str) -> bool:
    # Not urllib: it would use a proxy that the environment names.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def adopt_orphans() -> None:
    """Become the parent of processes whose parent died, to notice when they end."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
