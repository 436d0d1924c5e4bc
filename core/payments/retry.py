"""
Repeated calls to Stripe: the one place that decides when, and what an answer proves.

A call without a clear answer may have been carried out. It is made again under the same
key: Stripe acts once for a key and repeats its first answer
(https://docs.stripe.com/api/idempotent_requests).
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.errors import PaymentBusyError, PaymentError, PaymentUnavailableError

T = TypeVar("T")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0


@dataclass(frozen=True)
class Retries:
    """
    How a call is made again.

    *unclear* is the number of further tries after answers that prove nothing,
    *busy_pauses* are the seconds before each further try after a 429.
    """

    unclear: int = 0
    busy_pauses: tuple[float, ...] = ()


ONCE_MORE = Retries(unclear=1)


def repeat(call: Callable[[], T], retries: Retries, *, give_up: float = math.inf) -> T:
    """
    Make *call*, and make it again as *retries* say; raise its last error.

    While Stripe is busy no pause begins that would last beyond *give_up*, a moment of
    time.monotonic(). A refusal after an unclear answer is marked as in doubt: it says
    nothing about the first try.
    """
    busy_pauses = iter(retries.busy_pauses)
    unclear = 0
    while True:
        try:
            return call()
        except PaymentBusyError:
            pause = next(busy_pauses, math.inf)
            if pause == math.inf or time.monotonic() + pause > give_up:
                raise
        except PaymentUnavailableError as error:
            unclear += 1
            if unclear > retries.unclear or not error.may_retry:
                raise
            pause = _backoff(unclear)
        except PaymentError as error:
            error.is_in_doubt = error.is_in_doubt or unclear > 0
            raise
        time.sleep(pause)


def _backoff(tries: int) -> float:
    longest: float = min(
        FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1), LONGEST_PAUSE_SECONDS
    )
    # Jitter: callers that failed together should not come back together.
    return max(FIRST_PAUSE_SECONDS, longest * random.uniform(0.5, 1))  # noqa: S311
