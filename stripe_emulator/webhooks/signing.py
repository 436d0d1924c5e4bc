"""Signatures of events: valid ones, and those that the shop must refuse."""

import hashlib
import hmac
import time
from typing import Literal, get_args

Signature = Literal["right", "wrong", "rolled", "future", "old"]
SIGNATURES = get_args(Signature)
_SHIFTS = {"future": 3600, "old": -3600}  # seconds


def header(payload: str, secret: str, kind: Signature) -> str:
    """
    Return the value of `Stripe-Signature`, with the time of this machine (UTC).

    "rolled" has two signatures, as Stripe sends while a secret is being replaced.
    """
    timestamp = int(time.time()) + _SHIFTS.get(kind, 0)
    right = _signature(payload, secret, timestamp)
    other = _signature(payload, "whsec_another", timestamp)
    named = {"wrong": f"v1={other}", "rolled": f"v1={other},v1={right}"}
    return f"t={timestamp},{named.get(kind, f'v1={right}')}"


def _signature(payload: str, secret: str, timestamp: int) -> str:
    signed = f"{timestamp}.{payload}".encode()
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
