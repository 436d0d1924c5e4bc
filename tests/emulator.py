"""The Stripe emulator as a process of its own, for tests that want the real thing."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import stripe

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 20.0


def wait_until(condition, *, seconds: float = 10.0, what: str = "the condition"):
    """Poll *condition* until it is truthy, and return what it said."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true in {seconds} s")
        time.sleep(0.02)
    return result


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(url: str, body: Any = None, *, method: str = "POST") -> Any:
    """One call to a control route; an answer that is no 2xx is a requests.HTTPError."""
    json = body if method == "POST" else None
    answer = requests.request(method, url, json=json, timeout=30)
    answer.raise_for_status()
    return answer.json()


class EmulatorServer:
    """
    `with EmulatorServer(webhook_url=…, webhook_secret=…) as stripe:` starts it.

    *port* 0 picks a free one; *state* is the file that outlives a restart. It ends
    with this process, even after `kill -9`.
    """

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        webhook_secret: str = "whsec_test",
        port: int = 0,
        state: Path | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.webhook_secret = webhook_secret
        self._command = [sys.executable, "-m", "stripe_emulator", *options]
        self._command += ["--port", str(self.port), "--webhook-secret", webhook_secret]
        self._command += ["--end-with-parent", str(os.getpid())]
        if webhook_url:
            self._command += ["--webhook-url", webhook_url]
        if state:
            self._command += ["--state", str(state)]
        self.part: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        environment.pop("STRIPE_SECRET_KEY", None)
        self.part = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._is_alive, seconds=_START_SECONDS, what="the emulator")

    def stop(self) -> None:
        if self.part is not None:
            self.part.terminate()
            self.part.wait(10)
            self.part = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self.part is not None:
            self.part.kill()
            self.part.wait(10)
            self.part = None

    def _is_alive(self) -> bool:
        if self.part is not None and self.part.poll() is not None:
            raise AssertionError(f"the emulator ended with {self.part.returncode}")
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def control(self, route: str, /, **body: Any) -> Any:
        """`control("sessions/cs_…/pay", method="card")` posts to `/_emulator/…`."""
        return call(f"{self.url}/_emulator/{route}", body)

    def look(self, route: str) -> Any:
        """`look("requests")` gets `/_emulator/requests`."""
        return call(f"{self.url}/_emulator/{route}", method="GET")

    def reset(self) -> None:
        self.control("reset")

    def send_webhooks(self, url: str) -> None:
        self.control("webhooks/endpoint", url=url, secret=self.webhook_secret)

    def pay(self, session_id: str, method: str = "card", **body: Any) -> Any:
        return self.control(f"sessions/{session_id}/pay", method=method, **body)

    def settle(self, session_id: str, outcome: str) -> Any:
        return self.control(f"sessions/{session_id}/settle", outcome=outcome)

    def advance(self, seconds: float) -> None:
        self.control("clock", advance=seconds)

    def fault(self, route: str, kind: str, **more: Any) -> None:
        self.control("faults", route=route, kind=kind, **more)

    def webhooks(
        self,
        mode: str = "normal",
        *,
        signature: str = "right",
        types: Sequence[str] = (),
    ) -> None:
        """*types* are the events that the mode is for; without any it is for all."""
        switches = {"mode": mode, "signature": signature, "types": list(types)}
        self.control("faults", kind="webhooks", **switches)

    def make_code(self, code: str, percent_off: int) -> None:
        """Make a promotion code, as the owner does in Stripe's dashboard."""
        client = stripe.StripeClient("sk_test_shop", base_addresses={"api": self.url})
        coupon = client.v1.coupons.create(
            {"percent_off": percent_off, "duration": "once"}
        )
        client.v1.promotion_codes.create(
            {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": code}
        )

    def recover(self, session_id: str) -> Any:
        """The new session that the recovery link of an expired one would make."""
        return self.control(f"sessions/{session_id}/recover")

    def next_refunds(self, status: str, *, times: int = 1) -> None:
        self.control("refunds/next", status=status, times=times)

    def refund(self, payment_id: str, **body: Any) -> Any:
        """By hand, in Stripe's own dashboard; the id of charge, payment or session."""
        return self.control(f"charges/{payment_id}/refund", **body)

    def dispute(self, payment_id: str, **body: Any) -> Any:
        return self.control(f"charges/{payment_id}/dispute", **body)

    def close_dispute(self, dispute_id: str, outcome: str) -> Any:
        return self.control(f"disputes/{dispute_id}/close", outcome=outcome)

    def barrier(self, route: str, *, after: bool = False) -> None:
        self.control("barriers", route=route, after=after)

    def wait_for_waiter(self, route: str) -> None:
        """Wait until a call of *route* stands at its barrier."""

        def stands() -> bool:
            waiting = self.look("barriers")["waiting"]
            return any(waiter["route"] == route for waiter in waiting)

        wait_until(stands, what=f"a {route} at the barrier")

    def release(self, route: str) -> None:
        self.control("barriers/release", route=route)

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """The recorded calls whose path ends with *path*."""
        rows = self.look("requests")["requests"]
        return [row for row in rows if row["path"].endswith(path)]
