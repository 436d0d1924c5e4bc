"""
An HTTP/1.1 server that keeps connections open, with a thread for each.

Werkzeug's own server closes every connection after one answer. A shop keeps its
connections to Stripe, so measurements would include the cost of connecting.
"""

import contextlib
import io
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from flask import Flask

CONNECTION = "stripe_emulator.connection"
_IDLE_SECONDS = 60.0
_LARGEST_BODY = 10_000_000
_WITHOUT_BODY = ("1", "204", "304")
_Environ = dict[str, Any]


class Server(socketserver.ThreadingTCPServer):
    """Serves *app* and closes a connection without a call for *idle_seconds*."""

    allow_reuse_address = True
    daemon_threads = True  # a call that hangs must not delay the end
    request_queue_size = 512  # bursts of connections must not be refused

    def __init__(
        self, port: int, app: Flask, *, idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        self.app = app
        self._idle_seconds = idle_seconds
        self._mutex = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        self.port: int = self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(self._idle_seconds)
        with self._mutex:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._mutex:
            self._connections.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        """Stop listening; finish the calls under way and close idle connections."""
        self.shutdown()
        self.server_close()
        with self._mutex:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # closed by the other side
                    connection.shutdown(socket.SHUT_RD)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is one write

    def handle(self) -> None:
        with contextlib.suppress(
            OSError
        ):  # idle for too long, or closed by either side
            super().handle()

    @property
    def _server(self) -> Server:
        return cast(Server, self.server)

    def _answer(self) -> None:
        body = self._body()
        if body is None:
            return
        head: list[Any] = []

        def start(status: str, headers: list[Any], _error: Any = None) -> Any:
            head[:] = [status, headers]

        chunks = self._server.app(self._environ(body), start)
        try:
            answer = b"".join(chunks)
        finally:
            close: Callable[[], None] = getattr(chunks, "close", lambda: None)
            close()
        self._send(head[0], head[1], answer)

    # The names that http.server calls.
    do_GET = do_HEAD = do_OPTIONS = _answer  # noqa: N815  # not ours to choose
    do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  # the same

    def _body(self) -> bytes | None:
        """Read the whole body, so that the next call starts at the right byte."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.send_error(411)
        elif int(length) > _LARGEST_BODY:
            self.send_error(413)
        elif len(body := self.rfile.read(int(length))) == int(length):
            return body
        self.close_connection = True
        return None

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in headers]
        names = {name.lower() for name, _ in headers}
        if "content-length" not in names and not status.startswith(_WITHOUT_BODY):
            lines.append(f"Content-Length: {len(body)}")
        lines.append(
            f"Connection: {'close' if self.close_connection else 'keep-alive'}"
        )
        head = "\r\n".join([*lines, "", ""])
        self.wfile.write(head.encode("latin-1") + body)

    def _environ(self, body: bytes) -> _Environ:
        target = urlsplit(self.path)
        environ: _Environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(target.path, "latin-1"),
            "QUERY_STRING": target.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": self.client_address[0],
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self._server.port),
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            CONNECTION: self.connection,
        }
        for name, value in self.headers.items():
            key = f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    def log_message(self, *_: Any) -> None:
        """Log nothing: the shop logs its own calls."""
