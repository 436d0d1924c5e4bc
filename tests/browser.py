"""Debian's Chromium, for tests and for pictures."""

import os
from pathlib import Path

import pytest

OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page asks of strangers fails here as it would without a network.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def chromium() -> str:
    """Return the browser's path; without one, tests are skipped, but never in CI."""
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(path).exists():
        reason = f"there is no Chromium at {path}; CHROMIUM names another place"
        if os.environ.get("CI") or "CHROMIUM" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    return path
