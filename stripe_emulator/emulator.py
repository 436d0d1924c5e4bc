"""All parts of the emulator, wired together, and its threads."""

import logging
import threading
from collections import deque
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from stripe_emulator.api import calls
from stripe_emulator.checkout import sessions
from stripe_emulator.control import routes
from stripe_emulator.faults.injected import Barriers, Faults
from stripe_emulator.hosted_page import pages
from stripe_emulator.money import payment_pages
from stripe_emulator.serving.server import Server
from stripe_emulator.state.account import Account, Json
from stripe_emulator.state.clock import Clock
from stripe_emulator.state.idempotency import Keys
from stripe_emulator.state.snapshot import Snapshot
from stripe_emulator.webhooks.deliveries import Webhooks

_TOLD = ("Idempotency-Key", "Stripe-Version", "Content-Type", "User-Agent")
_TICK_SECONDS = 0.1
_MOST_REQUESTS = 5000

logger = logging.getLogger(__name__)


class Emulator:
    """*key*: the only API key that is accepted; None accepts every test key."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        state: Path | None = None,
        key: str | None = None,
        delay_seconds: float = 0.0,
    ) -> None:
        self.clock = clock or Clock()
        self.key = key
        self.delay_seconds = delay_seconds
        self.account = Account(self.clock)
        self.keys = Keys(self.account)
        self.faults = Faults()
        self.barriers = Barriers()
        self.webhooks = Webhooks(self.account)
        self.account.on_event = self.webhooks.send
        self.requests: deque[Json] = deque(maxlen=_MOST_REQUESTS)
        self._snapshot = Snapshot(self.account, state) if state else None
        self._halt = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._server: Server | None = None
        self._listener: threading.Thread | None = None

    def send_webhooks(self, url: str | None, secret: str) -> None:
        self.webhooks.url, self.webhooks.secret = url, secret

    def start(self, port: int) -> str:
        """Listen on loopback and return the address; port 0 picks a free one."""
        server = Server(port, create_app(self))
        self.account.base_url = f"http://127.0.0.1:{server.port}"
        if self._snapshot:
            self._snapshot.load()
            self._snapshot.start()
        self.webhooks.start()
        self._ticker.start()
        self._server = server
        self._listener = threading.Thread(
            target=server.serve_forever, args=(0.05,), daemon=True
        )
        self._listener.start()
        return self.account.base_url

    def stop(self) -> None:
        self.barriers.release(None)
        self.faults.clear()
        if self._server and self._listener:
            self._server.stop()
            self._listener.join()
        self._halt.set()
        self._ticker.join()
        self.webhooks.stop()
        if self._snapshot:
            self._snapshot.stop()

    def end_due(self) -> None:
        with self.account.mutex:
            sessions.end_due(self.account)
            payment_pages.settle_due(self.account)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.end_due()
        self.webhooks.wake()

    def reset(self) -> None:
        """As new: no objects, no faults, the right time."""
        self.barriers.release(None)
        self.faults.clear()
        with self.account.mutex:
            self.webhooks.clear()
            self.account.clear()
            self.requests.clear()
            self.clock.reset()

    def _tick(self) -> None:
        while not self._halt.wait(_TICK_SECONDS):
            try:
                self.end_due()
            except Exception:
                logger.exception("sessions could not be ended")


def create_app(emulator: Emulator) -> Flask:
    app = Flask(
        __name__,
        static_folder="hosted_page/static",
        template_folder="hosted_page/templates",
    )
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000
    app.register_blueprint(calls.blueprint(emulator))
    app.register_blueprint(routes.blueprint(emulator))
    app.register_blueprint(pages.blueprint(emulator))
    app.before_request(lambda: _record(emulator))

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.errorhandler(Exception)
    def refused(error: Exception) -> Response | HTTPException:
        if not isinstance(error, HTTPException):
            logger.exception("%s %s failed", request.method, request.path)
            return calls.failed()
        if error.code in (404, 405):
            return calls.unknown()
        return error

    return app


def _record(emulator: Emulator) -> None:
    if not request.path.startswith("/v1/"):
        return
    row: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode("latin-1"),
        "body": request.get_data(as_text=True),
        "headers": {n: request.headers[n] for n in _TOLD if n in request.headers},
        "at": emulator.clock.now(),
    }
    emulator.requests.append(row)
