"""
Keep-alive connections that ask, wait and ask again, for as little CPU as possible.

One thread over plain sockets: the shop, the database and Stripe's stand-in share the
machine with whoever measures them.
"""

import selectors
import socket
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.clients import Outcome, Part

ANSWER_SECONDS = 60
NO_END = 1 << 60
Ask = Callable[[], bytes]


@dataclass(frozen=True)
class Requests:
    """
    Send what *ask* makes over *connections*, for *seconds* or until *most* are done.

    Two for each connection come before, so that a server's threads and caches are
    there, and go over into the others without a pause. An answer other than 2xx is an
    error.
    """

    port: int
    ask: Ask
    connections: int
    seconds: float = ANSWER_SECONDS
    most: int = NO_END

    @property
    def warm_up(self) -> int:
        return 2 * self.connections

    def run(self, part: Part) -> Outcome:
        part.start()
        loop = _Loop(self)
        try:
            return loop.run()
        finally:
            loop.close()


class _Connection:
    def __init__(self, port: int) -> None:
        self.port = port
        self.stream = _connect(port)
        self.began = 0.0
        self.received = b""
        self.is_kept = True

    def ask(self, request: bytes) -> None:
        """Send *request*; it belongs to it that a server may want a new connection."""
        self.began = time.perf_counter()
        if not self.is_kept:
            self.stream.close()
            self.stream = _connect(self.port)
        # A shop answers only at its own address, the port included.
        first, _, rest = request.partition(b"\r\n")
        host = b"Host: 127.0.0.1:%d" % self.port
        self.stream.sendall(b"\r\n".join((first, host, rest)))

    def has_answer(self) -> bool:
        """Take in what has come; tell whether it is a whole answer."""
        came = self.stream.recv(65_536)
        if not came:
            raise ConnectionError(f"closed after {self.received!r}")
        self.received += came
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length_in(head):
            return False
        if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
            raise ConnectionError(f"refused: {self.received[:500]!r}")
        self.is_kept = b"\r\nconnection: close" not in head.lower()
        self.received = b""
        return True


def _connect(port: int) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def _length_in(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.removeprefix(b"content-length:"))
    raise ConnectionError(f"an answer without its length: {head!r}")


class _Loop:
    def __init__(self, load: Requests) -> None:
        self.load = load
        self.connections = [_Connection(load.port) for _ in range(load.connections)]
        self.left = load.warm_up + load.most
        self.answered = 0
        self.began = self.ended = 0.0
        self.durations: array[float] = array("d")

    def close(self) -> None:
        for connection in self.connections:
            connection.stream.close()

    def run(self) -> Outcome:
        """Ask over all connections until it is enough, and wait for what was asked."""
        with selectors.EpollSelector() as selector:
            for connection in self.connections:
                self._ask(connection, selector)
            while selector.get_map():
                for connection in _answered(selector):
                    self._count(connection)
                    self._ask(connection, selector)
        return Outcome(self.durations, self.began, self.ended)

    def _ask(self, connection: _Connection, selector: selectors.BaseSelector) -> None:
        if not self.left or self._is_over(time.perf_counter()):
            return
        self.left -= 1
        connection.ask(self.load.ask())
        selector.register(connection.stream, selectors.EVENT_READ, connection)

    def _count(self, connection: _Connection) -> None:
        now = time.perf_counter()
        self.answered += 1
        if self.answered == self.load.warm_up:
            self.began = now
        elif self.began and not self._is_over(now):
            self.ended = now
            self.durations.append(now - connection.began)

    def _is_over(self, now: float) -> bool:
        return bool(self.began) and now - self.began > self.load.seconds


def _answered(selector: selectors.BaseSelector) -> Iterator[_Connection]:
    """Wait; give the connections that have their answer, and watch them no more."""
    ready = selector.select(ANSWER_SECONDS)
    if not ready:
        raise TimeoutError("no answer came")
    for key, _ in ready:
        connection: _Connection = key.data
        if connection.has_answer():
            selector.unregister(key.fileobj)
            yield connection


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Return a request as it travels; the connection adds the Host."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
