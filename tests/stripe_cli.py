"""Stripe's own command-line client, of which npm brings one version for the tests."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = "1.52.0"
# Beside the Python packages, where a version stays until the whole folder is made anew.
_FOLDER = Path(sys.prefix) / "share" / "stripe-cli"
_INSTALL_SECONDS = 120
_RUN_SECONDS = 60


def program() -> Path:
    """
    Return the client, installed when it is missing; several may ask at once.

    Without npm the test is skipped; with CI=true it fails.
    """
    found = _FOLDER / VERSION / "node_modules" / ".bin" / "stripe"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            _install(_FOLDER / VERSION)
    return found


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        _give_up("npm, which brings Stripe's command-line client, is not installed")
        return
    scratch = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    # A package of its own, as --prefix would hide the machine's settings of npm.
    (scratch / "package.json").write_text("{}")
    command = [npm, "install", "--no-save", "--no-audit", "--no-fund"]
    # The scripts would fetch from elsewhere what npm itself has not brought.
    command += ["--ignore-scripts", f"@stripe/cli@{VERSION}"]
    try:
        ended = _run(
            command, dict(os.environ), seconds=_INSTALL_SECONDS, folder=scratch
        )
    except subprocess.TimeoutExpired:
        _give_up(f"npm needs over {_INSTALL_SECONDS} s for @stripe/cli")
        return
    if ended.returncode or not list(scratch.glob("node_modules/@stripe/cli-*")):
        _give_up(f"npm cannot install @stripe/cli: {ended.stderr[-500:]}")
        return
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)


def _give_up(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _run(
    command: Sequence[str],
    environment: dict[str, str],
    *,
    seconds: int,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@dataclass(frozen=True)
class StripeClient:
    """The client before *api_base*; what it writes goes to *folder*."""

    program: Path
    api_base: str
    folder: Path

    def run(
        self, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        options = ["--api-base", self.api_base, "--api-key", "sk_test_emulator"]
        options += ["--config", str(self.folder / "config.toml")]
        told = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            # It asks for its newest version; nobody outside is to be asked.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            **environment,
        }
        command = [str(self.program), *arguments, *options]
        return _run(command, told, seconds=_RUN_SECONDS)

    def trigger(self, event: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("trigger", event, *options)

    def pay(self, session_id: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Pay with the file that the documents name."""
        file = Path(__file__).parents[1] / "docs" / "fixtures" / "pay-session.json"
        return self.run("fixtures", str(file), *options, CHECKOUT_SESSION=session_id)
