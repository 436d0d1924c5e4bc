"""
HTTP to Stripe over urllib3, with a connection pool for all threads.

The package's own client uses `requests`, which reads the environment at every call:
that took more than a third of the CPU of a call.
"""

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ProxyError
from urllib3.exceptions import TimeoutError as OutOfTimeError

# More than a worker has threads, so that no connection is thrown away.
_CONNECTIONS = 128
# No connection, a time-out or a broken answer: another try may do better.
_PASSING = (OutOfTimeError, ProtocolError, ProxyError)


class NoAnswerError(Exception):
    """There is no whole answer; *may_pass* says that it can be worth asking again."""

    def __init__(self, text: str, *, may_pass: bool) -> None:
        super().__init__(text)
        self.may_pass = may_pass


class Transport:
    """
    Safe to share between threads; repeats nothing and follows no redirect.

    Certificates are verified by *ca_file*. Without *proxy* there is none, whatever the
    environment says.
    """

    def __init__(
        self,
        ca_file: str,
        *,
        connect_seconds: float,
        read_seconds: float,
        proxy: str | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "maxsize": _CONNECTIONS,
            "timeout": urllib3.Timeout(connect=connect_seconds, read=read_seconds),
            # One for all connections: otherwise each would read the file again.
            "ssl_context": ssl.create_default_context(cafile=ca_file),
        }
        self._pools = urllib3.PoolManager(**options)
        if proxy is not None:
            login = unquote(urlsplit(proxy).netloc.rpartition("@")[0])
            headers = urllib3.make_headers(proxy_basic_auth=login) if login else {}
            self._pools = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Return the answer's body, status and headers, or raise NoAnswerError."""
        try:
            answer = self._pools.urlopen(
                method.upper(),
                url,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
            )
        except (HTTPError, OSError, ValueError) as error:
            text = f"{type(error).__name__}: {error}"
            raise NoAnswerError(text, may_pass=isinstance(error, _PASSING)) from error
        return answer.data, answer.status, answer.headers

    def close(self) -> None:
        """End the connections that idle."""
        self._pools.clear()


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for *url*, if it names one."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    named = getproxies()
    proxy = named.get(parts.scheme) or named.get("all")
    if proxy and "://" not in proxy:
        return f"http://{proxy}"
    return proxy or None
