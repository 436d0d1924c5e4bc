"""The storefront as it is served: a real gunicorn with its workers and schedulers."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tests.emulator import EmulatorServer, free_port, wait_until

_ROOT = Path(__file__).resolve().parent.parent
_CONFIGURATION = "storefront/gunicorn.conf.py"
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


class StorefrontServer:
    """
    `with StorefrontServer(database_url, stripe, folder) as storefront:` starts it.

    *folder* is its DATA_DIR and gets its log. *settings* are environment variables
    (`RESERVATION_MINUTES="0.05"`). The database must be migrated. Stripe's webhooks go
    to the storefront that started last. All of it ends with this process, even after
    `kill -9`.
    """

    def __init__(
        self,
        database_url: str,
        stripe: EmulatorServer,
        folder: Path,
        **settings: str,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"storefront-{self.port}.log"
        self._stripe = stripe
        self._settings = {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(folder),
            "STOREFRONT_PORT": str(self.port),
            "SECRET_KEY": "for tests",
            "CRON_SECRET": "for tests",
            "STRIPE_SECRET_KEY": "sk_test_shop",
            "STRIPE_WEBHOOK_SECRET": stripe.webhook_secret,
            "STRIPE_API_BASE": stripe.url,
            "MAX_CHECKOUTS_PER_MINUTE": "0",
            "CLEANUP_INTERVAL_SECONDS": "1",
            "WEB_CONCURRENCY": "2",
            **settings,
        }
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
        # Else a later test's payment would wait for an answer from nobody.
        with suppress(requests.ConnectionError):
            self._stripe.control("webhooks/endpoint", url=None)

    def start(self) -> None:
        """Start it and wait until it is ready; also again after stop() or kill()."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), **self._settings}
        environment.pop("GUNICORN_CMD_ARGS", None)
        with self.log.open("ab") as log:
            self.part = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "TERM", "--"),
                    *(sys.executable, "-m", "gunicorn", "--config", _CONFIGURATION),
                    "storefront:create_app()",
                ],
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self.is_ready, seconds=_START_SECONDS, what="the storefront")
        except BaseException:
            self.kill()
            raise
        self._stripe.send_webhooks(f"{self.url}/api/stripe/webhook")

    def stop(self) -> None:
        """End it as an operator does; what does not end is killed and is an error."""
        if self.part is None:
            return
        part, self.part = self.part, None
        part.terminate()
        try:
            part.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(part.pid, signal.SIGKILL)
            part.wait()
            raise

    def kill(self) -> None:
        """End master and workers at once, as a power cut would."""
        if self.part is None:
            return
        part, self.part = self.part, None
        if part.poll() is None:
            os.killpg(part.pid, signal.SIGKILL)
        part.wait()

    def worker_pids(self) -> list[int]:
        """Return the processes that serve requests: the children of gunicorn's own."""
        if self.part is None:
            return []
        children = Path(f"/proc/{self.part.pid}/task/{self.part.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def kill_worker(self, pid: int) -> None:
        """Kill one worker with -9; gunicorn will bring another."""
        assert pid in self.worker_pids(), f"{pid} is no worker of this storefront"
        os.kill(pid, signal.SIGKILL)

    def is_ready(self) -> bool:
        """Tell whether it answers that all is in order; fail if it has ended."""
        if self.part is not None and self.part.poll() is not None:
            raise AssertionError(f"the storefront ended:\n{self.log.read_text()}")
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False
