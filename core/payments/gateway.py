"""
Stripe, as the shop uses it: sessions, refunds, disputes and signed events.

`client` makes the calls, `request` says what a page is made of.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import stripe

from core.errors import (
    AlreadyRefundedError,
    PaymentError,
    PaymentUnavailableError,
    WebhookSignatureError,
)
from core.payments import reading
from core.payments.client import StripeClient, is_missing
from core.payments.data import (
    DisputeReport,
    Event,
    Page,
    PaymentSession,
    RefundReport,
    SessionRequest,
)
from core.payments.reading import REFUND_KEY, Json, payment_session, refund_report
from core.payments.request import create_params
from core.payments.retry import Retries

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams, RefundListParams
    from stripe.params.checkout import SessionListParams

T = TypeVar("T")

# The version that webhook endpoints should have: events of others may differ.
API_VERSION = stripe.api_version
CREATE = Retries(unclear=2, busy_pauses=(0.5, 1.5))
REFUND = Retries(unclear=2)
SIGNATURE_TOLERANCE_SECONDS = 300
PASSING_REFUND_CODES = ("balance_insufficient", "insufficient_funds")
_SESSIONS, _REFUNDS, _DISPUTES = "/v1/checkout/sessions", "/v1/refunds", "/v1/disputes"
_MOST_ROWS = 100
# What a session only refers to, but an order shows.
_EXPANDED = [
    "payment_intent.latest_charge",
    "discounts.promotion_code",
    "shipping_cost.shipping_rate",
]
# Visitors may invent an id, and it becomes part of a URL.
_ID = re.compile(r"[A-Za-z0-9_]+")


class StripeGateway:
    """Safe to share between threads."""

    def __init__(
        self, secret_key: str, webhook_secret: str, api_base: str | None = None
    ) -> None:
        self._webhook_secret = webhook_secret
        self._is_live = "_live_" in secret_key
        self._client = StripeClient(secret_key, api_base)

    def create(
        self,
        request: SessionRequest,
        *,
        retries: Retries | None = None,
        give_up: float = math.inf,
    ) -> PaymentSession:
        """
        Make the payment page, or return the one that this request made before.

        No retry begins after *give_up* (time.monotonic()) while Stripe is busy.
        PaymentError alone means that there is certainly no page,
        PaymentUnavailableError that there may be one.
        """
        key, params = request.idempotency_key, create_params(request)
        try:
            answer = self._client.post(
                _SESSIONS, params, key=key, retries=retries or CREATE, give_up=give_up
            )
        except PaymentError as error:
            if error.is_in_doubt:
                raise PaymentUnavailableError(str(error)) from error
            raise
        return payment_session(answer)

    def retrieve(self, session_id: str) -> PaymentSession | None:
        """Return the session as it is now; None if Stripe knows no such session."""
        return self._found(_SESSIONS, session_id, payment_session, expand=_EXPANDED)

    def expire(self, session_id: str) -> PaymentSession | None:
        """
        Close the session, so that nobody can pay it; return what it is after that.

        After a refusal Stripe is asked why: it was paid first, or closed before. None
        if Stripe knows no such session. Safe to repeat.
        """
        if not _ID.fullmatch(session_id):
            return None
        try:
            # No fixed key: under one Stripe would repeat a stored 500 for a day.
            closed = self._client.post(f"{_SESSIONS}/{session_id}/expire", {})
        except PaymentUnavailableError:
            raise
        except PaymentError:
            return self.retrieve(session_id)
        return payment_session(closed)

    def _found(
        self, path: str, object_id: str, read: Callable[[Json], T], **params: object
    ) -> T | None:
        if not _ID.fullmatch(object_id):
            return None
        try:
            return read(self._client.get(f"{path}/{object_id}", params))
        except PaymentError as error:
            if is_missing(error):
                return None
            raise

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

        A listed session has no details of what it refers to, such as promotion codes.
        """
        return self._page(_SESSIONS, payment_session, since, after)

    def refunds(self, *, since: datetime, after: str = "") -> Page[RefundReport]:
        """Return a page of the refunds made *since* then, newest first."""
        return self._page(_REFUNDS, refund_report, since, after)

    def disputes(self, *, since: datetime, after: str = "") -> Page[DisputeReport]:
        """Return a page of the disputes begun *since* then, newest first."""
        return self._page(_DISPUTES, reading.dispute_report, since, after)

    def _page(
        self, path: str, read: Callable[[Json], T], since: datetime, after: str
    ) -> Page[T]:
        params: SessionListParams = {"created": {"gte": int(since.timestamp())}}
        params["limit"] = _MOST_ROWS
        if after:
            params["starting_after"] = after
        listed = self._client.get(path, params)
        rows = listed["data"]
        has_more = bool(rows) and listed["has_more"]
        return Page([read(row) for row in rows], rows[-1]["id"] if has_more else None)

    def refund(
        self, payment_intent: str, amount_cents: int, *, key: str, attempt: str = ""
    ) -> RefundReport:
        """
        Pay *amount_cents* back; return the refund. One *attempt*, one refund.

        *key* identifies the refund at Stripe, whichever attempt made it, and is the
        idempotency key of the first. Raises PaymentError when Stripe refuses this
        refund for good (AlreadyRefundedError if other refunds took all of the payment),
        PaymentUnavailableError for what may pass: an API key that is being changed, a
        balance too low.
        """
        params: RefundCreateParams = {
            "payment_intent": payment_intent,
            "amount": amount_cents,
            "metadata": {REFUND_KEY: key},
        }
        try:
            made = self._client.post(
                _REFUNDS, params, key=attempt or key, retries=REFUND
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
        return refund_report(made)

    def _refund_made(
        self, payment_intent: str, amount_cents: int, key: str, refusal: PaymentError
    ) -> RefundReport:
        """
        Find the refund that did it: ours of a day ago, or one made by hand.

        One by hand that has failed did not. If all have, the payment is free again, but
        Stripe repeats its refusal under this key.
        """
        made = self.refunds_of(payment_intent)
        for refund in made:
            if refund.key == key:
                return refund
        standing = [refund for refund in made if not refund.has_failed]
        for refund in standing:
            if refund.amount_cents == amount_cents:
                return refund
        if standing:
            raise AlreadyRefundedError(str(refusal)) from refusal.__cause__
        text = str(refusal)
        raise PaymentUnavailableError(text, is_concluded=True) from refusal.__cause__

    def refunds_of(self, payment_intent: str) -> list[RefundReport]:
        """
        Return all refunds of a payment, wherever they were made, newest first.

        None for a payment that Stripe does not know. Raises PaymentUnavailableError
        whenever Stripe does not tell.
        """
        params: RefundListParams = {"payment_intent": payment_intent}
        params["limit"] = _MOST_ROWS
        try:
            page = self._client.get(_REFUNDS, params)
        except PaymentUnavailableError:
            raise
        except PaymentError as error:
            if is_missing(error):
                return []
            # A refusal to list says nothing about a refund.
            raise PaymentUnavailableError(str(error)) from error
        return [refund_report(each) for each in page["data"]]

    def dispute(self, dispute_id: str) -> DisputeReport | None:
        """Return a dispute as it is now; None if Stripe knows no such dispute."""
        return self._found(_DISPUTES, dispute_id, reading.dispute_report)

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
            # The package accepts any time in the future.
            times = re.findall(r"(?:^|,)\s*t=(\d+)", signature or "")
            ahead = max(map(int, times)) - now.timestamp()
            given = json.loads(text)
            if ahead > SIGNATURE_TOLERANCE_SECONDS:
                raise WebhookSignatureError
            if given["object"] != "event" or given["livemode"] is not self._is_live:
                raise WebhookSignatureError
            return reading.event(given)
        except (
            stripe.SignatureVerificationError,
            ValueError,  # not UTF-8, not JSON
            TypeError,  # not ASCII in the header
            AttributeError,
            KeyError,
            RecursionError,
        ) as error:
            raise WebhookSignatureError from error


def epoch(moment: datetime) -> datetime:
    """Cut *moment* to whole seconds, as Stripe has them."""
    return datetime.fromtimestamp(int(moment.timestamp()), tz=UTC)
