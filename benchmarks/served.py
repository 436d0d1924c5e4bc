"""Applications as gunicorn serves them, with what belongs to the benchmarks alone."""

import os
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response, jsonify, request
from stripe import StripeClient

from benchmarks.carts import new_terms
from core.config import Config
from core.payments.transport import Transport
from core.shop import Shop
from core.stock import reservations
from storefront import create_app
from tests.emulator import EmulatorServer, free_port, wait_until

# Of the CPU of a checkout: all calls of the `stripe` package, and HTTP within them.
CALLS, TRANSPORT = "calls", "transport"
ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = "storefront/gunicorn.conf.py"
SHOP, TIMED, BARE = (
    "storefront:create_app()",
    "benchmarks.served:timed()",
    "benchmarks.served:bare()",
)


def timed() -> Flask:
    """The shop, which tells how much CPU its calls of Stripe have taken."""
    app = create_app()
    spent = Counter[str]()
    mutex = threading.Lock()

    def timing(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed_call(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time_ns()
            try:
                return call(*arguments, **options)
            finally:
                with mutex:
                    spent[part] += time.thread_time_ns() - began

        return timed_call

    for owner, name, part in (
        (StripeClient, "raw_request", CALLS),
        (Transport, "send", TRANSPORT),
    ):
        setattr(owner, name, timing(part, getattr(owner, name)))

    @app.get("/spent")
    def tell_spent() -> Response:
        return jsonify({part: spent[part] / 10**9 for part in (CALLS, TRANSPORT)})

    return app


def bare() -> Flask:
    """The least that can reserve over HTTP: one view, and nothing around it."""
    app = Flask("bare")
    shop = Shop.open(Config.from_env(os.environ))
    app.extensions["shop"] = shop
    make = new_terms()

    @app.post("/api/checkout")
    def check_out() -> tuple[Response, int]:
        items = request.get_json()["items"]
        cart = {item["product_id"]: item["quantity"] for item in items}
        terms, now = make()
        reserved = shop.database.write_single(
            lambda session: reservations.reserve(session, cart, terms, now=now)
        )
        name = f"cs_test_{secrets.token_hex(28)}"
        answer = jsonify(
            checkout_id=reserved.checkout_id,
            stripe_session_id=name,
            url=f"http://127.0.0.1/c/pay/{name}",
            expires_at=terms.expires_at.isoformat(),
        )
        return answer, 201

    @app.get("/readyz")
    def readyz() -> Response:
        return jsonify(status="ok")

    return app


@dataclass(frozen=True)
class Server:
    """A gunicorn that answers at *port*."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def cpu_seconds(self) -> float:
        """What the workers have taken so far, in programs and in the kernel."""
        ticks = 0
        for pid in self.workers():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """What the workers have for themselves alone."""
        kilobytes = 0
        for pid in self.workers():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_"):
                    kilobytes += int(line.split()[1])
        return kilobytes / 1000


def _settings(
    database_url: str, stripe: EmulatorServer, folder: Path, port: int, workers: int
) -> dict[str, str]:
    # Nothing else reaches it: what the machine is set up for could change the figures.
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "DATA_DIR": str(folder),
        "STOREFRONT_PORT": str(port),
        "SECRET_KEY": "for benchmarks",
        "CRON_SECRET": "for benchmarks",
        "STRIPE_SECRET_KEY": "sk_test_shop",
        "STRIPE_WEBHOOK_SECRET": stripe.webhook_secret,
        "STRIPE_API_BASE": stripe.url,
        "MAX_CHECKOUTS_PER_MINUTE": "0",
        "CLEANUP_INTERVAL_SECONDS": "60",
        "RECONCILE_INTERVAL_SECONDS": "3600",
        "WEB_CONCURRENCY": str(workers),
    }


@contextmanager
def served(
    app: str,
    database_url: str,
    stripe: EmulatorServer,
    folder: Path,
    *,
    workers: int,
) -> Iterator[Server]:
    """Serve *app* as the shop is served; it ends with this process."""
    port = free_port()
    log = folder / f"served-{port}.log"
    settings = _settings(database_url, stripe, folder, port, workers)
    command = [
        *("setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-m", "gunicorn"),
        *("--config", CONFIGURATION, app),
    ]
    with log.open("wb") as written:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    server = Server(port, process)
    try:
        wait_until(lambda: _is_ready(server, log), seconds=60, what="the server")
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(server: Server, log: Path) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"the server ended:\n{log.read_text()}")
    try:
        return requests.get(f"{server.url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False
