"""The emulator as a whole: its parts, its server and its threads."""

import logging
import threading
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from stripe_emulator.api import calls
from stripe_emulator.control import routes
from stripe_emulator.hosted_page import pages
from stripe_emulator.serving.parts import Parts
from stripe_emulator.serving.server import Server
from stripe_emulator.state.snapshot import Snapshot

_TOLD = ("Idempotency-Key", "Stripe-Version", "Content-Type", "User-Agent")
_TICK_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Emulator(Parts):
    """The parts, with an HTTP server in front and an optional *state* file behind."""

    def __init__(
        self,
        *,
        state: Path | None = None,
        key: str | None = None,
        delay_seconds: float = 0.0,
    ) -> None:
        super().__init__(key=key, delay_seconds=delay_seconds)
        self._snapshot = Snapshot(self.account, state) if state else None
        self._halt = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._server: Server | None = None
        self._listener: threading.Thread | None = None

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

    def _tick(self) -> None:
        while not self._halt.wait(_TICK_SECONDS):
            try:
                self.end_due()
            except Exception:
                logger.exception("sessions could not be ended")


def create_app(parts: Parts) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000
    app.register_blueprint(calls.blueprint(parts))
    app.register_blueprint(routes.blueprint(parts))
    app.register_blueprint(pages.blueprint(parts))
    app.before_request(lambda: _record(parts))

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


def _record(parts: Parts) -> None:
    if not request.path.startswith("/v1/"):
        return
    row: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode("latin-1"),
        "body": request.get_data(as_text=True),
        "headers": {n: request.headers[n] for n in _TOLD if n in request.headers},
        "at": parts.clock.now(),
    }
    parts.requests.append(row)
