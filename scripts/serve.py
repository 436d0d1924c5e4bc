"""Start the shop's programs, print their addresses, and leave no process behind."""

import contextlib
import os
import queue
import signal
import socket
import sys
import time
from collections.abc import Callable

from core.config import Config
from core.errors import ConfigError
from scripts.parts import ROOT, Output, Part, PartError, Plan, adopt_orphans

START_SECONDS = 60.0
STOP_SECONDS = 10.0  # more than gunicorn's graceful_timeout
POLL_SECONDS = 0.2


NO_ADDRESS = (
    "Limits by address do not count visitors who come from 127.0.0.1: a proxy must",
    "name them in X-Forwarded-For, and SHOP_URL must begin with https.",
)


class StoppedError(Exception):
    """Somebody asked the shop to stop."""


class Stop:
    """
    Remembers that a signal asked for the end.

    A threading.Event may deadlock when a signal handler sets it while the main thread
    waits on it; the simple queue is made for that.
    """

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: self._arrived.put(received))

    def wait(self, seconds: float) -> None:
        with contextlib.suppress(queue.Empty):
            self._arrived.get(timeout=seconds)
            raise StoppedError


def plans(config: Config) -> list[Plan]:
    """Return the programs of the shop; the emulator comes first, as others call it."""
    webhook = f"http://127.0.0.1:{config.storefront_port}/api/stripe/webhook"
    emulator = Plan(
        "emulator",
        (
            *("-m", "stripe_emulator", "--port", str(config.stripe_emulator_port)),
            *("--webhook-url", webhook),
            # One argument: a secret may begin with a dash.
            f"--webhook-secret={config.stripe_webhook_secret}",
            *("--state", str(config.data_dir / "stripe-emulator.json")),
        ),
        config.stripe_emulator_port,
        ("/healthz",),
    )
    storefront = Plan(
        "storefront",
        (
            *("-m", "gunicorn", "--config", "storefront/gunicorn.conf.py"),
            "storefront:create_app()",
        ),
        config.storefront_port,
        ("/healthz", "/readyz"),
    )
    dashboard = Plan(
        "dashboard",
        (
            *("-m", "streamlit", "run", "admin_dashboard/app.py"),
            *("--server.address", "127.0.0.1"),
            *("--server.port", str(config.dashboard_port)),
        ),
        config.dashboard_port,
        ("/healthz",),
    )
    return [*([emulator] if config.is_demo else []), storefront, dashboard]


def refuse_taken_ports(config: Config) -> None:
    """Raise ConfigError for a port that is not free, before anything is started."""
    ports = {
        "STOREFRONT_PORT": config.storefront_port,
        "DASHBOARD_PORT": config.dashboard_port,
    }
    if config.is_demo:
        ports["STRIPE_EMULATOR_PORT"] = config.stripe_emulator_port
    seen: dict[int, str] = {}
    for name, port in ports.items():
        if port in seen:
            raise ConfigError(name, f"{port} is also the port of {seen[port]}")
        seen[port] = name
        refuse_taken_port(name, port)


def refuse_taken_port(name: str, port: int) -> None:
    with socket.socket() as listener:
        # As the servers do: else a port whose last connection just ended is not free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            reason = f"must be a free port, {port} is not ({error.strerror})"
            raise ConfigError(name, reason) from error


def notes_on(config: Config) -> tuple[str, ...]:
    """Return what an operator should know of these settings, line by line."""
    limits = config.limits
    is_limited = limits.holds_per_address or limits.share_per_address
    if config.is_public and is_limited and not limits.counts_loopback:
        return NO_ADDRESS
    return ()


class Shop:
    """All parts together: open when each of them answers, closed when one ends."""

    def __init__(self, config: Config, *, stop: Stop, output: Output) -> None:
        self._config = config
        self._stop = stop
        self._output = output
        self._parts: list[Part] = []
        self._environ = {
            **os.environ,
            # Absolute: they may be relative to where the command was typed.
            "DATA_DIR": str(config.data_dir),
            "DATABASE_URL": config.database_url,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }

    def run(self) -> None:
        """Never return: raise StoppedError or PartError."""
        self._finish("migrate")
        seeded = self._finish("seed")
        for plan in plans(self._config):
            self._start(plan, self._output.say)
        self._wait_for_answers()
        for line in self._welcome(seeded):
            self._output.say(line)
        while True:
            for part in self._parts:
                part.check()
            self._stop.wait(POLL_SECONDS)

    def close(self) -> None:
        """End every process: SIGTERM, and SIGKILL after STOP_SECONDS."""
        parts = self._parts
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 2)):
            for part in parts:
                part.send(number)
            deadline = time.monotonic() + seconds
            while parts and time.monotonic() < deadline:
                parts = [part for part in parts if not part.is_gone()]
                time.sleep(0.02)

    def _start(self, plan: Plan, say: Callable[[str], None]) -> Part:
        part = Part(plan, self._environ, say)
        self._parts.append(part)
        return part

    def _finish(self, command: str) -> list[str]:
        arguments = ("-m", "flask", "--app", "storefront", command)
        part = self._start(Plan(command, arguments), lambda line: None)
        while part.exit_code() is None:
            self._stop.wait(0.05)
        if part.exit_code() != 0:
            part.check()
        self._parts.remove(part)
        return part.last_lines()

    def _wait_for_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        waiting = list(self._parts)
        while waiting:
            for part in self._parts:
                part.check()
            if time.monotonic() > deadline:
                late = waiting[0].plan
                reason = f"The {late.name} does not answer on port {late.port}."
                raise PartError(reason, waiting[0].last_lines())
            waiting = [part for part in waiting if not part.answers()]
            self._stop.wait(POLL_SECONDS if waiting else 0)

    def _welcome(self, seeded: list[str]) -> list[str]:
        config = self._config
        logins = [
            line.removeprefix("owner-login:").strip()
            for line in seeded
            if line.startswith("owner-login:")
        ]
        login = logins[-1] if logins else f"{config.owner_email} ({self._password()})"
        here = "http://127.0.0.1:"
        storefront = f"{here}{config.storefront_port}"
        if config.shop_url != storefront:
            storefront = f"{config.shop_url} (for a proxy: {storefront})"
        stripe = f"  Stripe (test)  {here}{config.stripe_emulator_port}"
        return [
            "The shop is open. Ctrl-C stops it.",
            f"  Storefront     {storefront}",
            f"  Dashboard      {here}{config.dashboard_port}",
            f"                 login: {login}",
            *([stripe] if config.is_demo else []),
            *notes_on(config),
        ]

    def _password(self) -> str:
        kept = self._config.data_dir / "owner-password"
        return f"password in {kept}" if kept.exists() else "with its own password"


def main() -> int:
    stop = Stop()
    adopt_orphans()
    try:
        config = Config.from_env(os.environ)
        refuse_taken_ports(config)
    except ConfigError as error:
        print(f"run.sh: {error}", file=sys.stderr)
        return 2
    output = Output()
    shop = Shop(config, stop=stop, output=output)
    failure: PartError | None = None
    try:
        shop.run()
    except StoppedError:
        output.say("Stopping.")
    except PartError as error:
        failure = error
    finally:
        shop.close()
    for line in [str(failure), *failure.lines] if failure else ["Stopped."]:
        output.say(line)
    output.close()
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
