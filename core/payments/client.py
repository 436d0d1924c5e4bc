"""
The official package, set up as the shop needs it, and its errors as the shop's own.

The package's own defaults are not the shop's: a client waits 80 seconds, retries
nothing and sends telemetry. All of it is set here. Calls go out by `raw_request`, which
leaves an answer as it came: to build the package's objects of it costs as much CPU as
all the rest of a call, and what the shop needs of them is small (`payment_reading`).
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import stripe

from core.errors import PaymentBusyError, PaymentError, PaymentUnavailableError
from core.payments.transport import NoAnswerError, Transport, environment_proxy

stripe.enable_telemetry = False

# A create with two retries that hangs is given up on within half a minute, and a web
# request may wait for an expire before it.
CONNECT_SECONDS = 3
READ_SECONDS = 8
_CONFLICT, _SERVER_ERROR = 409, 500


class _HTTPClient(stripe.HTTPClient):
    """
    The transport, as the package wants it.

    It remembers of each thread the last request that may have been carried out unheard:
    the package asks again by itself, and what comes then is no word on the first try.
    """

    name = "urllib3"

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._of_thread = threading.local()

    def is_in_doubt(self, key: str) -> bool:
        """Tell whether this thread's request of this key may have been carried out."""
        return getattr(self._of_thread, "key_in_doubt", None) == key

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[Any, int, Mapping[str, str]]:
        key = (headers or {}).get("Idempotency-Key")
        try:
            answer = self._transport.send(method, url, headers or {}, post_data)
        except NoAnswerError as error:
            self._of_thread.key_in_doubt = key
            raise stripe.APIConnectionError(  # type: ignore[no-untyped-call]  # theirs
                str(error), should_retry=error.may_pass
            ) from error
        _, status, _ = answer
        if status >= _SERVER_ERROR or status == _CONFLICT:
            self._of_thread.key_in_doubt = key
        return answer

    def close(self) -> None:
        self._transport.close()


class StripeClient:
    """
    Stripe's API: an answer as it came, or one of the shop's errors.

    PaymentError when Stripe refused, PaymentUnavailableError when it may have acted all
    the same. Safe to share between threads; one of them, as a new one for each call is
    slow.
    """

    def __init__(self, secret_key: str, api_base: str | None = None) -> None:
        transport = Transport(
            stripe.ca_bundle_path,
            connect_seconds=CONNECT_SECONDS,
            read_seconds=READ_SECONDS,
            # A stand-in is behind no proxy that the environment may name.
            proxy=None if api_base else environment_proxy(stripe.DEFAULT_API_BASE),
        )
        self._http = _HTTPClient(transport)
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base} if api_base else {},
            http_client=self._http,
        )

    def is_in_doubt(self, key: str) -> bool:
        """Tell whether this thread's request of this key may have been carried out."""
        return self._http.is_in_doubt(key)

    def get(
        self, path: str, params: Mapping[str, Any], *, retries: int = 0
    ) -> dict[str, Any]:
        """Ask for an object; safe to repeat."""
        return self._call("get", path, params, {"max_network_retries": retries})

    def post(
        self,
        path: str,
        params: Mapping[str, Any],
        *,
        key: str | None = None,
        retries: int,
    ) -> dict[str, Any]:
        """Ask Stripe to do something; under one *key* it does it once."""
        options: dict[str, Any] = {"max_network_retries": retries}
        if key is not None:
            options["idempotency_key"] = key
        return self._call("post", path, params, options)

    def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> dict[str, Any]:
        with _translated():
            answer = self._client.raw_request(method, path, **params, **options).data
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
            _summary(error), is_concluded=error.http_status == _SERVER_ERROR
        ) from error
    except stripe.StripeError as error:
        raise PaymentError(_summary(error)) from error


def _summary(error: stripe.StripeError) -> str:
    parts = [type(error).__name__, error.http_status, error.code, error.request_id]
    return " ".join(str(part) for part in parts if part)


def is_missing(error: PaymentError) -> bool:
    """Tell whether Stripe knows no such object."""
    cause = error.__cause__
    return isinstance(cause, stripe.InvalidRequestError) and cause.http_status == 404
