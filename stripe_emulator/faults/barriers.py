"""Barriers at which calls wait, before or after their effect."""

import threading
from dataclasses import dataclass, field

from stripe_emulator.state.account import Json

LONGEST_WAIT_SECONDS = 120.0


@dataclass
class Barrier:
    route: str
    after: bool
    id: str | None
    gate: threading.Event = field(default_factory=threading.Event)

    def described(self) -> Json:
        return {"route": self.route, "after": self.after, "id": self.id}


class Barriers:
    """Places where calls wait until a test lets them go."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._standing: list[Barrier] = []
        self._waiting: list[Json] = []

    def add(self, barrier: Barrier) -> None:
        with self._mutex:
            self._standing.append(barrier)

    def release(self, route: str | None) -> None:
        """Remove the barriers of *route*, or all of them if it is None."""
        with self._mutex:
            gone = [b for b in self._standing if route in (None, b.route)]
            self._standing = [b for b in self._standing if b not in gone]
            for barrier in gone:
                barrier.gate.set()

    def listed(self) -> Json:
        with self._mutex:
            standing = [barrier.described() for barrier in self._standing]
            return {"barriers": standing, "waiting": list(self._waiting)}

    def wait(self, route: str, object_id: str | None, *, after: bool) -> None:
        """Wait while a barrier stands, but at most LONGEST_WAIT_SECONDS."""
        with self._mutex:
            met = next(
                (
                    b
                    for b in self._standing
                    if (b.route, b.after) == (route, after)
                    and b.id in (None, object_id)
                ),
                None,
            )
            if met is None:
                return
            waiter = {"route": route, "after": after, "id": object_id}
            self._waiting.append(waiter)
        met.gate.wait(LONGEST_WAIT_SECONDS)
        with self._mutex:
            self._waiting.remove(waiter)
