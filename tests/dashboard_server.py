"""The dashboard as it is served: a real Streamlit on a free port."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tests.emulator import free_port, wait_until

_ROOT = Path(__file__).resolve().parent.parent


class DashboardServer:
    """
    `with DashboardServer(database_url, folder) as dashboard:` starts it.

    *folder* is its DATA_DIR, its working directory and gets its log. It ends with this
    process, even after `kill -9`.
    """

    def __init__(self, database_url: str, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._settings = {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(folder),
            "SECRET_KEY": "for tests",
            **settings,
        }
        self.part: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with (self._folder / "dashboard.log").open("wb") as log:
            self.part = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "TERM", "--"),
                    *(sys.executable, "-m", "streamlit", "run"),
                    str(_ROOT / "admin_dashboard" / "app.py"),
                    *("--server.address", "127.0.0.1"),
                    *("--server.port", str(self.port)),
                ],
                # Elsewhere than usual: the settings must be found all the same.
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(_ROOT), **self._settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_alive, seconds=60, what="the dashboard")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.part is not None:
            self.part.terminate()
            self.part.wait(15)
            self.part = None

    def _is_alive(self) -> bool:
        if self.part is not None and self.part.poll() is not None:
            raise AssertionError(f"the dashboard ended with {self.part.returncode}")
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False
