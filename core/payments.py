"""
Stripe, as the shop uses it: one gateway over the official package.

The package's own defaults are not the shop's: a client waits 80 seconds, retries
nothing and sends telemetry. All of it is set here. Calls go out by `raw_request`, which
leaves an answer as it came: to build the package's objects of it costs as much CPU as
all the rest of a call, and what the shop needs of them is the small PaymentSession.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import stripe

from core.errors import PaymentError, PaymentUnavailableError, WebhookSignatureError
from core.transport import NoAnswerError, Transport, environment_proxy

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams, RefundListParams
    from stripe.params.checkout import (
        SessionCreateParams,
        SessionListParams,
        SessionRetrieveParams,
    )

stripe.enable_telemetry = False

# With 2 retries a create that hangs is given up on within half a minute, and a web
# request may wait for an expire before it.
CONNECT_SECONDS = 3
READ_SECONDS = 8
CREATE_RETRIES = 2
SIGNATURE_TOLERANCE_SECONDS = 300
MOST_NAME_CHARACTERS = 250
PASSING_REFUND_CODES = ("balance_insufficient", "insufficient_funds")
_SESSIONS, _REFUNDS = "/v1/checkout/sessions", "/v1/refunds"
# Anybody may come back with an id of his own making, and it becomes part of an address.
_SESSION_ID = re.compile(r"[A-Za-z0-9_]+")

# They pay days later, while the units stay held. A list of what is allowed would hide
# what Stripe adds; this one may miss a method: a delayed payment is still understood.
DELAYED_METHODS = (
    "acss_debit",
    "au_becs_debit",
    "bacs_debit",
    "boleto",
    "customer_balance",
    "konbini",
    "multibanco",
    "oxxo",
    "sepa_debit",
    "us_bank_account",
)


@dataclass(frozen=True)
class SessionLine:
    """One line of a payment page; *unit_price_cents* includes VAT."""

    name: str
    unit_price_cents: int
    currency: str
    quantity: int


@dataclass(frozen=True)
class SessionRequest:
    """
    What a payment page is made of; all of it was committed with the reservation.

    The same request gives the same bytes, however often and wherever it is sent.
    """

    checkout_id: int
    idempotency_key: str
    lines: tuple[SessionLine, ...]
    expires_at: datetime
    locale: str
    notice: str
    shop_url: str


@dataclass(frozen=True)
class PaymentSession:
    """What the shop needs to know of a Stripe Checkout Session."""

    id: str
    status: str
    payment_status: str
    url: str | None
    payment_intent: str | None
    payment_failed: bool
    amount_cents: int
    currency: str
    customer_name: str
    customer_email: str
    reference: str
    checkout_key: str

    @property
    def is_closed(self) -> bool:
        """Nobody can pay it, and nobody has."""
        return self.status == "expired"

    @property
    def is_paid(self) -> bool:
        """The money is there, or none was asked for."""
        return self.status == "complete" and self.payment_status != "unpaid"

    @property
    def awaits_payment(self) -> bool:
        """A delayed payment is on its way."""
        return self.status == "complete" and self.payment_status == "unpaid"


@dataclass(frozen=True)
class Event:
    """A verified message of Stripe; *session_id* is empty if it is about no session."""

    id: str
    type: str
    session_id: str
    reference: str
    checkout_key: str


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


class StripeGateway:
    """Safe to share between threads; one client, as a new one for each call is slow."""

    def __init__(
        self,
        secret_key: str,
        webhook_secret: str,
        api_base: str | None = None,
        *,
        excluded_methods: tuple[str, ...] = DELAYED_METHODS,
    ) -> None:
        self._webhook_secret = webhook_secret
        self._excluded_methods = excluded_methods
        self._is_live = "_live_" in secret_key
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

    def create(
        self, request: SessionRequest, *, retries: int = CREATE_RETRIES
    ) -> PaymentSession:
        """
        Make the payment page, or return the one that this request has made before.

        PaymentError means that there is certainly none, PaymentUnavailableError that
        there may be one.
        """
        answer = self._post(
            _SESSIONS,
            _create_params(request, self._excluded_methods),
            key=request.idempotency_key,
            retries=retries,
        )
        return _payment_session(answer)

    def retrieve(self, session_id: str) -> PaymentSession | None:
        """Return the session as it is now; None if Stripe knows no such session."""
        if not _SESSION_ID.fullmatch(session_id):
            return None
        params: SessionRetrieveParams = {"expand": ["payment_intent"]}
        try:
            return _payment_session(
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
        if not _SESSION_ID.fullmatch(session_id):
            return None
        try:
            # Without a key of our own: under one fixed key Stripe would play a stored
            # 500 again for a day.
            return _payment_session(
                self._post(f"{_SESSIONS}/{session_id}/expire", {}, retries=1)
            )
        except PaymentUnavailableError:
            raise
        except PaymentError:
            return self.retrieve(session_id)

    def find(self, checkout_key: str, *, since: datetime) -> PaymentSession | None:
        """Look through the sessions made *since* then for the one with this key."""
        params: SessionListParams = {
            "created": {"gte": int(since.timestamp())},
            "limit": 100,
        }
        while True:
            page = self._get(_SESSIONS, params)
            sessions = [_payment_session(each) for each in page["data"]]
            for session in sessions:
                if session.checkout_key == checkout_key:
                    return session
            if not sessions or not page["has_more"]:
                return None
            params["starting_after"] = sessions[-1].id

    def refund(self, payment_intent: str, amount_cents: int, *, key: str) -> str:
        """
        Pay *amount_cents* back; return Stripe's refund id. One key, one refund.

        PaymentError is a verdict on this refund. What may pass (a key that is being
        changed, a balance too low) is PaymentUnavailableError, to be tried again.
        """
        params: RefundCreateParams = {
            "payment_intent": payment_intent,
            "amount": amount_cents,
        }
        try:
            return str(self._post(_REFUNDS, params, key=key, retries=2)["id"])
        except PaymentUnavailableError:
            raise
        except PaymentError as error:
            code = getattr(error.__cause__, "code", None)
            if code == "charge_already_refunded":
                return self._refund_of(payment_intent)
            verdict = isinstance(error.__cause__, stripe.InvalidRequestError)
            if verdict and code not in PASSING_REFUND_CODES:
                raise
            raise PaymentUnavailableError(str(error)) from error

    def _refund_of(self, payment_intent: str) -> str:
        params: RefundListParams = {"payment_intent": payment_intent}
        refunds = self._get(_REFUNDS, params)["data"]
        return str(refunds[0]["id"]) if refunds else "already refunded"

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
            return _event(event, is_live=self._is_live)
        except (
            stripe.SignatureVerificationError,
            ValueError,  # not UTF-8, not JSON
            TypeError,  # not ASCII in the header
            AttributeError,
            KeyError,
            RecursionError,
        ) as error:
            raise WebhookSignatureError from error


def _create_params(
    request: SessionRequest, excluded_methods: tuple[str, ...]
) -> "SessionCreateParams":
    # Of the session's metadata nothing is copied to the payment, which refunds and
    # disputes name, so it is given twice.
    metadata = {
        "checkout_id": str(request.checkout_id),
        "checkout_key": request.idempotency_key,
    }
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
        "success_url": f"{request.shop_url}/checkout/success"
        "?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": f"{request.shop_url}/checkout/cancel/{request.checkout_id}",
        "adaptive_pricing": {"enabled": False},
    }
    if excluded_methods:
        params["excluded_payment_method_types"] = list(excluded_methods)
    if request.notice:
        params["custom_text"] = {"submit": {"message": request.notice}}
    return params


def _payment_session(session: Mapping[str, Any]) -> PaymentSession:
    intent = session.get("payment_intent")  # its id, or all of it where expanded
    opened = intent if isinstance(intent, dict) else {"id": intent}
    customer = session.get("customer_details") or {}
    return PaymentSession(
        id=session["id"],
        status=session["status"] or "",
        payment_status=session["payment_status"],
        url=session.get("url"),
        payment_intent=opened["id"],
        payment_failed=opened.get("status") in ("requires_payment_method", "canceled"),
        amount_cents=session.get("amount_total") or 0,
        currency=session.get("currency") or "",
        customer_name=customer.get("name") or "",
        customer_email=customer.get("email") or "",
        reference=session.get("client_reference_id") or "",
        checkout_key=_key_in(session.get("metadata")),
    )


def _key_in(metadata: Any) -> str:
    if not isinstance(metadata, Mapping):
        return ""
    return str(metadata.get("checkout_key") or "")


def _event(event: Any, *, is_live: bool) -> Event:
    if event["object"] != "event" or event["livemode"] is not is_live:
        raise WebhookSignatureError
    what = event["data"]["object"]
    is_session = what.get("object") == "checkout.session"
    return Event(
        id=_text(event["id"]),
        type=_text(event["type"]),
        session_id=_text(what["id"]) if is_session else "",
        reference=str(what.get("client_reference_id") or "") if is_session else "",
        checkout_key=_key_in(what.get("metadata")) if is_session else "",
    )


def _text(value: object) -> str:
    # Printable ASCII, as Stripe's ids and types are: a database may refuse the rest.
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,255}", value):
        raise WebhookSignatureError
    return value


@contextmanager
def _translated() -> Iterator[None]:
    """
    Turn the package's errors into the shop's.

    Their own text holds the whole answer with its headers, so only the kind is kept.
    """
    try:
        yield
    except (
        stripe.APIConnectionError,
        stripe.RateLimitError,
        stripe.APIError,  # 5xx, a conflict, or an answer that is no JSON
        stripe.IdempotencyError,  # an earlier request may have made a session
    ) as error:
        raise PaymentUnavailableError(
            _summary(error), is_concluded=error.http_status == 500
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
