"""The current time, and tokens that begin with it. Rules are given *now*."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utcnow() -> datetime:
    """Return the present moment as an aware UTC datetime."""
    return datetime.now(UTC)


def new_token() -> str:
    """
    Return 32 unique hexadecimal digits; not a secret.

    They begin with the time, so that an index of them grows at one end and stays fast.
    """
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"
