"""
Clients in processes of their own: threads that call, and what their calls took.

The processes live as long as the run, so that no round pays for starting Python. They
end when the pipe to their parent closes, however that came about.
"""

import multiprocessing
import signal
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Protocol, Self

MOST_PROCESSES = 2
WARM_UP_CALLS = 8
WARM_UP_SECONDS = 0.1
Caller = Callable[[], object]


@dataclass(frozen=True)
class Outcome:
    """How long each call took, and from when to when they were made."""

    durations: "array[float]"
    began: float
    ended: float

    @property
    def rate(self) -> float:
        return len(self.durations) / (self.ended - self.began)


@dataclass(frozen=True)
class Part:
    """Which of how many processes this is; start() returns when all are ready."""

    number: int
    of: int
    start: Callable[[], None]


class Load(Protocol):
    """What a process is to do. It travels to the process, so it must be picklable."""

    def run(self, part: Part) -> Outcome: ...


class Work(Protocol):
    """What a thread does over and over; a caller raises StopIteration at the end."""

    def callers(
        self, threads: int, part: Part
    ) -> AbstractContextManager[Sequence[Caller]]: ...


@dataclass(frozen=True)
class Crowd:
    """So many processes with so many threads each."""

    processes: int
    threads: int

    @property
    def clients(self) -> int:
        return self.processes * self.threads

    def __str__(self) -> str:
        if self.processes > 1:
            return f"{self.processes} \N{MULTIPLICATION SIGN} {self.threads}"
        return str(self.threads)


ALONE = Crowd(1, 1)
SIXTEEN = Crowd(1, 16)
TWO_BY_EIGHT = Crowd(2, 8)
CROWDS = (ALONE, SIXTEEN, TWO_BY_EIGHT)


@dataclass(frozen=True)
class Threads:
    """Each of *threads* threads calls for *seconds*; first some calls to warm up."""

    work: Work
    threads: int
    seconds: float

    def run(self, part: Part) -> Outcome:
        with self.work.callers(self.threads, part) as callers:
            for caller in callers:
                _warm_up(caller)
            runs = [_Run(caller, self.seconds) for caller in callers]
            part.start()
            for run in runs:
                run.start()
            for run in runs:
                run.join()
        for run in runs:
            if run.error is not None:
                raise run.error
        durations = array("d")
        for run in runs:
            durations.extend(run.durations)
        return Outcome(
            durations,
            min(run.began for run in runs),
            max(run.ended for run in runs),
        )


def _warm_up(caller: Caller) -> None:
    """Call often enough for a driver to prepare its statements, if calls are quick."""
    until = time.perf_counter() + WARM_UP_SECONDS
    for _ in range(WARM_UP_CALLS):
        caller()
        if time.perf_counter() > until:
            return


class _Run(threading.Thread):
    def __init__(self, caller: Caller, seconds: float) -> None:
        super().__init__(daemon=True)
        self.caller, self.seconds = caller, seconds
        self.durations: array[float] = array("d")
        self.began = self.ended = 0.0
        self.error: Exception | None = None

    def run(self) -> None:
        self.began = before = self.ended = time.perf_counter()
        until = before + self.seconds
        try:
            while before < until:
                self.caller()
                self.ended = time.perf_counter()
                self.durations.append(self.ended - before)
                before = self.ended
        except StopIteration:
            pass
        except Exception as error:
            self.error = error


class Clients:
    """The processes; `with Clients() as clients:` starts and ends them."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(MOST_PROCESSES):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._pipes.append(ours)
            self._processes.append((process, theirs))

    def __enter__(self) -> Self:
        for process, theirs in self._processes:
            process.start()
            theirs.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process, _ in self._processes:
            process.join(2)
            if process.is_alive():
                process.terminate()

    def run(self, load: Load, processes: int = 1) -> Outcome:
        """Let *processes* carry out *load*, from the same moment on."""
        pipes = self._pipes[:processes]
        for number, pipe in enumerate(pipes):
            pipe.send((load, number, processes))
        for pipe in pipes:
            _answer_of(pipe)
        for pipe in pipes:
            pipe.send("start")
        return _together([_answer_of(pipe) for pipe in pipes])

    def crowd(self, work: Work, crowd: Crowd, seconds: float) -> Outcome:
        """Let a *crowd* do *work* for *seconds*."""
        return self.run(Threads(work, crowd.threads, seconds), crowd.processes)


def _together(answers: Sequence[Outcome | None]) -> Outcome:
    outcomes = [answer for answer in answers if answer is not None]
    durations = array("d")
    for outcome in outcomes:
        durations.extend(outcome.durations)
    return Outcome(
        durations,
        min(outcome.began for outcome in outcomes),
        max(outcome.ended for outcome in outcomes),
    )


def _answer_of(pipe: Connection) -> Outcome | None:
    """Return what the process says: None when it is ready, an outcome at the end."""
    answer = pipe.recv()
    if isinstance(answer, Exception):
        raise answer
    assert answer is None or isinstance(answer, Outcome)
    return answer


def _serve(pipe: Connection) -> None:
    # Ctrl-C reaches all processes at once; these end when their parent does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def start() -> None:
        pipe.send(None)
        pipe.recv()

    while True:
        try:
            load, number, of = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(load.run(Part(number, of, start)))
        except EOFError:
            return
        except Exception as error:
            pipe.send(RuntimeError(f"{type(load).__name__}: {error!r}"))
