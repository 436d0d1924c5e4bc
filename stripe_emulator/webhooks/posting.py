"""Posting an event to the shop, over plain HTTP on this machine."""

import http.client
import socket
import threading
from urllib.parse import urlsplit

_ANSWER_SECONDS = 20.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "Connection": "close",
}


class Posting:
    """Posts events, and can break off all attempts under way."""

    def __init__(self) -> None:
        self._connections: set[http.client.HTTPConnection] = set()
        self._mutex = threading.Lock()

    def post(self, url: str, payload: bytes, signature: str) -> int | None:
        """Return the status, or None without an answer; does not follow redirects."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=_ANSWER_SECONDS
        )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with self._mutex:
            self._connections.add(connection)
        try:
            headers = {**_HEADERS, "Stripe-Signature": signature}
            connection.request("POST", path, payload, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            with self._mutex:
                self._connections.discard(connection)
            connection.close()
        return answer.status

    def break_off(self) -> None:
        """Close every connection, so that a slow answer does not delay the end."""
        with self._mutex:
            for connection in self._connections:
                if connection.sock:
                    connection.sock.shutdown(socket.SHUT_RDWR)


def is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
