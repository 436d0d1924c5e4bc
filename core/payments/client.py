"""
The official package, set up as the shop needs it, and its errors as the shop's own.

By default the package waits 80 seconds and sends telemetry. Calls go out by
`raw_request`, which leaves an answer as it came: building the package's objects costs
as much CPU as the rest of a call, and the shop needs little of them (`reading`).
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import stripe

from core.errors import PaymentBusyError, PaymentError, PaymentUnavailableError
from core.payments.retry import ONCE_MORE, Retries, repeat
from core.payments.transport import NoAnswerError, Transport, environment_proxy

stripe.enable_telemetry = False

# A create with two retries that hangs is given up on within half a minute, and a web
# request may wait for an expire before it.
CONNECT_SECONDS = 3
READ_SECONDS = 8
_CONFLICT, _SERVER_ERROR = 409, 500


class _HTTPClient(stripe.HTTPClient):
    """The transport, as the package wants it."""

    name = "urllib3"

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[Any, int, Mapping[str, str]]:
        try:
            return self._transport.send(method, url, headers or {}, post_data)
        except NoAnswerError as error:
            raise stripe.APIConnectionError(  # type: ignore[no-untyped-call]  # theirs
                str(error), should_retry=error.may_pass
            ) from error

    def close(self) -> None:
        self._transport.close()


class StripeClient:
    """
    Stripe's API: an answer as it came, or one of the shop's errors.

    PaymentError when Stripe refused, PaymentUnavailableError when it may have acted all
    the same. Safe to share between threads, and slow to make.
    """

    def __init__(self, secret_key: str, api_base: str | None = None) -> None:
        transport = Transport(
            stripe.ca_bundle_path,
            connect_seconds=CONNECT_SECONDS,
            read_seconds=READ_SECONDS,
            # A stand-in is behind no proxy that the environment may name.
            proxy=None if api_base else environment_proxy(stripe.DEFAULT_API_BASE),
        )
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base} if api_base else {},
            http_client=_HTTPClient(transport),
        )

    def get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for an object, once more if the answer is unclear; safe to repeat."""
        return repeat(partial(self._call, "get", path, params), ONCE_MORE)

    def post(
        self,
        path: str,
        params: Mapping[str, Any],
        *,
        key: str | None = None,
        retries: Retries = ONCE_MORE,
        **limits: float,
    ) -> dict[str, Any]:
        """Ask Stripe to do something; under one *key* it does it once."""
        key = key or str(uuid.uuid4())
        call = partial(self._call, "post", path, params, idempotency_key=key)
        return repeat(call, retries, **limits)

    def _call(
        self, method: str, path: str, params: Mapping[str, Any], **options: Any
    ) -> dict[str, Any]:
        with _translated():
            answer = self._client.raw_request(
                method, path, **params, **options, max_network_retries=0
            ).data
        if not isinstance(answer, dict) or "object" not in answer:
            raise PaymentUnavailableError("an answer that is no object of Stripe's")
        return answer


@contextmanager
def _translated() -> Iterator[None]:
    """
    Turn the package's errors into the shop's.

    Their own text holds the whole answer with its headers, so only the kind is kept.
    """
    try:
        yield
    except stripe.RateLimitError as error:
        raise PaymentBusyError(_summary(error)) from error
    except (
        stripe.APIConnectionError,
        stripe.APIError,  # 5xx, a conflict, or an answer that is no JSON
        stripe.IdempotencyError,  # an earlier request may have made a session
    ) as error:
        raise PaymentUnavailableError(
            _summary(error),
            is_concluded=error.http_status == _SERVER_ERROR,
            may_retry=_may_retry(error),
        ) from error
    except stripe.StripeError as error:
        raise PaymentError(_summary(error)) from error


def _may_retry(error: stripe.StripeError) -> bool:
    """Judge as the package does: Stripe's advice first, then the kind of failure."""
    advice = (error.headers or {}).get("stripe-should-retry")
    if advice in ("true", "false"):
        return advice == "true"
    if isinstance(error, stripe.APIConnectionError):
        return bool(error.should_retry)
    status = error.http_status or 0
    return status == _CONFLICT or status >= _SERVER_ERROR


def _summary(error: stripe.StripeError) -> str:
    parts = [type(error).__name__, error.http_status, error.code, error.request_id]
    return " ".join(str(part) for part in parts if part)


def is_missing(error: PaymentError) -> bool:
    """Tell whether Stripe knows no such object."""
    cause = error.__cause__
    return isinstance(cause, stripe.InvalidRequestError) and cause.http_status == 404
