"""
Stripe, as the shop uses it: one gateway over the official package.

The package's own defaults are not the shop's: a client waits 80 seconds, retries
nothing and sends telemetry. All of it is set here. Calls go out by `raw_request`, which
leaves an answer as it came: to build the package's objects of it costs as much CPU as
all the rest of a call, and what the shop needs of them is small (`payment_reading`).
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import stripe

from core import payment_reading
from core.errors import (
    PaymentBusyError,
    PaymentError,
    PaymentUnavailableError,
    WebhookSignatureError,
)
from core.offer import Offer
from core.payment_data import (
    DisputeReport,
    Event,
    Page,
    PaymentSession,
    RefundReport,
    SessionRequest,
)
from core.payment_reading import CHECKOUT_KEY, REFUND_KEY, payment_session
from core.transport import NoAnswerError, Transport, environment_proxy

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams, RefundListParams
    from stripe.params.checkout import (
        SessionCreateParams,
        SessionCreateParamsShippingOption,
        SessionListParams,
        SessionRetrieveParams,
    )

T = TypeVar("T")

stripe.enable_telemetry = False

# What endpoints should be made with: an event of another version may be shaped
# otherwise.
API_VERSION = stripe.api_version
# With 2 retries a create that hangs is given up on within half a minute, and a web
# request may wait for an expire before it.
CONNECT_SECONDS = 3
READ_SECONDS = 8
CREATE_RETRIES = 2
SIGNATURE_TOLERANCE_SECONDS = 300
MOST_NAME_CHARACTERS = 250
PASSING_REFUND_CODES = ("balance_insufficient", "insufficient_funds")
_SESSIONS, _REFUNDS, _DISPUTES = "/v1/checkout/sessions", "/v1/refunds", "/v1/disputes"
_MOST_ROWS = 100
_CONFLICT, _SERVER_ERROR = 409, 500
# What a session only names, but an order tells.
_EXPANDED = [
    "payment_intent.latest_charge",
    "discounts.promotion_code",
    "shipping_cost.shipping_rate",
]
# Anybody may come back with an id of his own making, and it becomes part of an address.
_ID = re.compile(r"[A-Za-z0-9_]+")


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


class StripeGateway:
    """Safe to share between threads; one client, as a new one for each call is slow."""

    def __init__(
        self,
        secret_key: str,
        webhook_secret: str,
        api_base: str | None = None,
    ) -> None:
        self._webhook_secret = webhook_secret
        self._is_live = "_live_" in secret_key
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

    def create(
        self, request: SessionRequest, *, retries: int = CREATE_RETRIES
    ) -> PaymentSession:
        """
        Make the payment page, or return the one that this request has made before.

        PaymentError means that there is certainly none, PaymentUnavailableError that
        there may be one, and PaymentBusyError, which is one of these, that Stripe asks
        to be asked again later.
        """
        key = request.idempotency_key
        try:
            answer = self._post(
                _SESSIONS, _create_params(request), key=key, retries=retries
            )
        except PaymentError as error:
            is_refusal = not isinstance(error, PaymentUnavailableError)
            if is_refusal and self._http.is_in_doubt(key):
                raise PaymentUnavailableError(str(error)) from error
            raise
        return payment_session(answer)

    def retrieve(self, session_id: str) -> PaymentSession | None:
        """Return the session as it is now; None if Stripe knows no such session."""
        if not _ID.fullmatch(session_id):
            return None
        params: SessionRetrieveParams = {"expand": _EXPANDED}
        try:
            return payment_session(
                self._get(f"{_SESSIONS}/{session_id}", params, retries=1)
            )
        except PaymentError as error:
            if _is_missing(error.__cause__):
                return None
            raise

    def expire(self, session_id: str) -> PaymentSession | None:
        """
        Close the session, so that nobody can pay it; return what it is after that.

        A refusal says nothing by itself: it was paid first, or closed before. Stripe is
        asked which. None if Stripe knows no such session. Safe to repeat.
        """
        if not _ID.fullmatch(session_id):
            return None
        try:
            # Without a key of our own: under one fixed key Stripe would play a stored
            # 500 again for a day.
            return payment_session(
                self._post(f"{_SESSIONS}/{session_id}/expire", {}, retries=1)
            )
        except PaymentUnavailableError:
            raise
        except PaymentError:
            return self.retrieve(session_id)

    def find(self, checkout_key: str, *, since: datetime) -> PaymentSession | None:
        """Look through the sessions made *since* then for the one with this key."""
        after: str | None = ""
        while after is not None:
            page = self.sessions(since=since, after=after)
            for session in page.rows:
                if session.checkout_key == checkout_key:
                    return session
            after = page.next
        return None

    def sessions(self, *, since: datetime, after: str = "") -> Page[PaymentSession]:
        """
        Return a page of the sessions made *since* then, newest first.

        What a session only names, such as a promotion code, a listed one does not tell.
        """
        return self._page(_SESSIONS, payment_session, since=since, after=after)

    def refunds(self, *, since: datetime, after: str = "") -> Page[RefundReport]:
        """Return a page of the refunds made *since* then, newest first."""
        read = payment_reading.refund_report
        return self._page(_REFUNDS, read, since=since, after=after)

    def disputes(self, *, since: datetime, after: str = "") -> Page[DisputeReport]:
        """Return a page of the disputes begun *since* then, newest first."""
        read = payment_reading.dispute_report
        return self._page(_DISPUTES, read, since=since, after=after)

    def _page(
        self,
        path: str,
        read: Callable[[Mapping[str, Any]], T],
        *,
        since: datetime,
        after: str,
    ) -> Page[T]:
        params: SessionListParams = {
            "created": {"gte": int(since.timestamp())},
            "limit": _MOST_ROWS,
        }
        if after:
            params["starting_after"] = after
        listed = self._get(path, params, retries=1)
        rows = listed["data"]
        has_more = bool(rows) and listed["has_more"]
        return Page([read(row) for row in rows], rows[-1]["id"] if has_more else None)

    def refund(
        self, payment_intent: str, amount_cents: int, *, key: str, attempt: str = ""
    ) -> RefundReport:
        """
        Pay *amount_cents* back; return the refund. One *attempt*, one refund.

        *key* is what the refund is known by at Stripe, whichever attempt made it; it is
        the name of the first one, too.
        PaymentError is a verdict on this refund. What may pass (a key that is being
        changed, a balance too low) is PaymentUnavailableError, to be tried again.
        """
        params: RefundCreateParams = {
            "payment_intent": payment_intent,
            "amount": amount_cents,
            "metadata": {REFUND_KEY: key},
        }
        try:
            return payment_reading.refund_report(
                self._post(_REFUNDS, params, key=attempt or key, retries=2)
            )
        except PaymentUnavailableError:
            raise
        except PaymentError as error:
            code = getattr(error.__cause__, "code", None)
            if code == "charge_already_refunded":
                return self._refund_made(payment_intent, amount_cents, key, error)
            verdict = isinstance(error.__cause__, stripe.InvalidRequestError)
            if verdict and code not in PASSING_REFUND_CODES:
                raise
            raise PaymentUnavailableError(str(error)) from error

    def _refund_made(
        self, payment_intent: str, amount_cents: int, key: str, refusal: PaymentError
    ) -> RefundReport:
        """All of it is back already: by this key a day ago, or by hand at Stripe."""
        made = self.refunds_of(payment_intent)
        ours = [refund for refund in made if refund.key == key]
        same = [refund for refund in made if refund.amount_cents == amount_cents]
        if not (ours or same):
            raise refusal
        return (ours or same)[0]

    def refunds_of(self, payment_intent: str) -> list[RefundReport]:
        """
        Return all refunds of a payment, wherever they were made, newest first.

        None for a payment that Stripe does not know. Raises PaymentUnavailableError
        whenever Stripe does not tell.
        """
        params: RefundListParams = {
            "payment_intent": payment_intent,
            "limit": _MOST_ROWS,
        }
        try:
            page = self._get(_REFUNDS, params, retries=1)
        except PaymentUnavailableError:
            raise
        except PaymentError as error:
            if _is_missing(error.__cause__):
                return []
            # A refusal to tell is no verdict on a refund.
            raise PaymentUnavailableError(str(error)) from error
        return [payment_reading.refund_report(each) for each in page["data"]]

    def dispute(self, dispute_id: str) -> DisputeReport | None:
        """Return a dispute as it is now; None if Stripe knows no such dispute."""
        if not _ID.fullmatch(dispute_id):
            return None
        try:
            return payment_reading.dispute_report(
                self._get(f"{_DISPUTES}/{dispute_id}", {}, retries=1)
            )
        except PaymentError as error:
            if _is_missing(error.__cause__):
                return None
            raise

    def _get(
        self, path: str, params: Mapping[str, Any], *, retries: int = 0
    ) -> dict[str, Any]:
        return self._call("get", path, params, {"max_network_retries": retries})

    def _post(
        self,
        path: str,
        params: Mapping[str, Any],
        *,
        key: str | None = None,
        retries: int,
    ) -> dict[str, Any]:
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

    def read_event(self, body: bytes, signature: str | None, now: datetime) -> Event:
        """
        Verify a webhook and return what it says.

        Raises WebhookSignatureError for whatever is not an event that Stripe has signed
        for this shop within five minutes of *now*, before or after.
        """
        try:
            text = body.decode()
            stripe.WebhookSignature.verify_header(
                text, signature, self._webhook_secret, SIGNATURE_TOLERANCE_SECONDS
            )
            # The package takes a time in the future, however far.
            times = re.findall(r"(?:^|,)\s*t=(\d+)", signature or "")
            ahead = max(map(int, times)) - now.timestamp()
            event = json.loads(text)
            if ahead > SIGNATURE_TOLERANCE_SECONDS:
                raise WebhookSignatureError
            if event["object"] != "event" or event["livemode"] is not self._is_live:
                raise WebhookSignatureError
            return payment_reading.event(event)
        except (
            stripe.SignatureVerificationError,
            ValueError,  # not UTF-8, not JSON
            TypeError,  # not ASCII in the header
            AttributeError,
            KeyError,
            RecursionError,
        ) as error:
            raise WebhookSignatureError from error


def _create_params(request: SessionRequest) -> "SessionCreateParams":
    # Of the session's metadata nothing is copied to the payment, which refunds and
    # disputes name, so it is given twice.
    metadata = {
        "checkout_id": str(request.checkout_id),
        CHECKOUT_KEY: request.idempotency_key,
    }
    shop_url = request.offer.shop_url
    params: SessionCreateParams = {
        "mode": "payment",
        "client_reference_id": str(request.checkout_id),
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "line_items": [
            {
                "quantity": line.quantity,
                "price_data": {
                    "currency": line.currency,
                    "unit_amount": line.unit_price_cents,
                    "product_data": {"name": line.name[:MOST_NAME_CHARACTERS]},
                },
            }
            for line in request.lines
        ],
        "expires_at": int(request.expires_at.timestamp()),
        "locale": "nl" if request.locale == "nl" else "en",
        "success_url": f"{shop_url}/checkout/success"
        "?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": f"{shop_url}/checkout/cancel/{request.checkout_id}",
        "adaptive_pricing": {"enabled": False},
    }
    if request.notice:
        params["custom_text"] = {"submit": {"message": request.notice}}
    _add_offer(params, request.offer, request.lines[0].currency)
    return params


def _add_offer(params: "SessionCreateParams", offer: Offer, currency: str) -> None:
    if offer.excluded_methods:
        params["excluded_payment_method_types"] = list(offer.excluded_methods)
    if offer.promotion_codes:
        params["allow_promotion_codes"] = True
    if offer.shipping_countries:
        params["shipping_address_collection"] = {
            "allowed_countries": list(offer.shipping_countries)
        }
    if offer.shipping_options:
        params["shipping_options"] = [
            _shipping_option(option.name, option.cents, currency)
            for option in offer.shipping_options
        ]
    if offer.asks_phone:
        params["phone_number_collection"] = {"enabled": True}
    if offer.asks_terms:
        # Stripe refuses this unless its dashboard knows the address of the terms.
        params["consent_collection"] = {"terms_of_service": "required"}


def _shipping_option(
    name: str, cents: int, currency: str
) -> "SessionCreateParamsShippingOption":
    return {
        "shipping_rate_data": {
            "type": "fixed_amount",
            "display_name": name,
            "fixed_amount": {"amount": cents, "currency": currency},
        }
    }


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


def _is_missing(error: BaseException | None) -> bool:
    return isinstance(error, stripe.InvalidRequestError) and error.http_status == 404


def epoch(moment: datetime) -> datetime:
    """Cut *moment* to the whole seconds that Stripe counts in."""
    return datetime.fromtimestamp(int(moment.timestamp()), tz=UTC)
