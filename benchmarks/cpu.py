"""What a checkout takes of a processor, without what the `stripe` package takes."""

from collections.abc import Iterator
from contextlib import ExitStack

import requests

from benchmarks.http_load import Requests
from benchmarks.load import Fill
from benchmarks.measure import Finding, Samples, at_most
from benchmarks.served import BARE, CALLS, TIMED, TRANSPORT, Server, served
from benchmarks.stand import ENGINES, Stand
from benchmarks.web import VIEW, checkout
from tests.emulator import EmulatorServer

# Enough for a worker to be busy, too few for its threads to be in each other's way.
CONNECTIONS = 8
OWN = "the shop's own part"
PACKAGE, HTTP = "the stripe package", "HTTP to Stripe"


def cpu(stand: Stand) -> Iterator[Finding]:
    """CPU of a checkout: the shop's own part beside reserve alone in a bare view."""
    for engine in ENGINES:
        with ExitStack() as stack:
            stripe = stack.enter_context(EmulatorServer())
            url = stack.enter_context(stand.database(engine, Fill()))
            timed, view = (
                stack.enter_context(served(app, url, stripe, stand.folder, workers=1))
                for app in (TIMED, BARE)
            )
            yield from _cpu(stand, engine, timed, view)


def _cpu(stand: Stand, engine: str, timed: Server, view: Server) -> Iterator[Finding]:
    parts: dict[str, list[float]] = {PACKAGE: [], HTTP: []}

    def own() -> float:
        before = _spent(timed)
        whole = _micros(stand, timed)
        calls, transport = (
            _a_request(stand, after - earlier)
            for after, earlier in zip(_spent(timed), before, strict=True)
        )
        if not 0 < transport < calls:
            raise AssertionError("Stripe is called in another way than was timed")
        parts[PACKAGE].append(calls - transport)
        parts[HTTP].append(transport)
        return whole - calls

    taken = stand.in_turn(
        {OWN: own, VIEW: lambda: _micros(stand, view)},
        what=f"CPU of a checkout on {engine}",
    )
    for part, samples, target in (
        (OWN, taken[OWN], at_most(1.3)),
        *((part, Samples(tuple(each)), None) for part, each in parts.items()),
    ):
        yield Finding(
            what=f"CPU of POST /api/checkout, {part}",
            engine=engine,
            clients=str(CONNECTIONS),
            unit="µs",
            measured=samples,
            floor=VIEW,
            floor_samples=taken[VIEW],
            target=target,
        )


def _load(stand: Stand, port: int) -> Requests:
    return Requests(port, checkout, CONNECTIONS, most=stand.sizes.requests)


def _micros(stand: Stand, server: Server) -> float:
    """Return what the worker takes for one request."""
    before = server.cpu_seconds()
    stand.clients.run(_load(stand, server.port))
    return _a_request(stand, server.cpu_seconds() - before)


def _a_request(stand: Stand, seconds: float) -> float:
    load = _load(stand, 0)
    return 1_000_000 * seconds / (load.warm_up + load.most)


def _spent(server: Server) -> tuple[float, float]:
    """Return the seconds of all calls of Stripe, and of HTTP within them."""
    answer = requests.get(f"{server.url}/spent", timeout=30).json()
    return float(answer[CALLS]), float(answer[TRANSPORT])
