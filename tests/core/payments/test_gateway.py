import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stripe import api_version
from stripe.params.checkout import SessionCreateParams, SessionListParams

from core.errors import PaymentBusyError, PaymentError, PaymentUnavailableError
from core.payments import client
from core.payments.data import SessionLine, SessionRequest
from core.payments.gateway import StripeGateway, epoch
from core.payments.offer import DELAYED_METHODS, Offer
from core.payments.request import MOST_NAME_CHARACTERS
from stripe_emulator.validation import forms
from stripe_emulator.validation.stripe_types import check_request
from tests.emulator import EmulatorServer, free_port
from tests.factories import form_of

KEY, WEBHOOK_SECRET = "sk_test_very_private", "whsec_also_private"
CREATE = "/v1/checkout/sessions"
LINE = SessionLine("Theepot", 4595, "eur", 1)


@pytest.fixture
def gateway(stripe: EmulatorServer) -> StripeGateway:
    return StripeGateway(KEY, WEBHOOK_SECRET, stripe.url)


@pytest.fixture
def hasty(stripe: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> StripeGateway:
    """Give a gateway that waits half a second for an answer."""
    monkeypatch.setattr(client, "READ_SECONDS", 0.5)
    return StripeGateway(KEY, WEBHOOK_SECRET, stripe.url)


@pytest.fixture
def request_(now: datetime) -> SessionRequest:
    return SessionRequest(
        checkout_id=7,
        idempotency_key="checkout-7",
        lines=(LINE, SessionLine("Kop & schotel", 1295, "eur", 2)),
        expires_at=now + timedelta(minutes=34),
        locale="nl",
        notice="We houden uw producten vast tot 12:15.",
        offer=Offer("http://127.0.0.1:8000"),
    )


def another(request: SessionRequest, number: int) -> SessionRequest:
    return replace(request, checkout_id=number, idempotency_key=f"checkout-{number}")


def created(stripe: EmulatorServer) -> list[dict[str, Any]]:
    return [each for each in stripe.requests(CREATE) if each["method"] == "POST"]


def problems(body: str, params: object) -> list[str]:
    return [str(each) for each in check_request(forms.parse(body), params).problems]


@pytest.mark.parametrize(
    "change",
    [{}, {"notice": ""}, {"locale": "en"}, {"offer": Offer("https://shop.example/a")}],
)
def test_what_is_asked_of_stripe_is_what_its_types_allow(
    gateway: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    change: dict[str, Any],
) -> None:
    gateway.create(replace(request_, **change))

    (call,) = created(stripe)
    assert problems(call["body"], SessionCreateParams) == []


def test_a_search_is_what_stripes_types_allow(
    gateway: StripeGateway, stripe: EmulatorServer, now: datetime
) -> None:
    gateway.find("checkout-7", since=now)

    (call,) = stripe.requests(CREATE)
    query = call.get("query") or call["body"]
    assert f"created[gte]={int(now.timestamp())}" in query.replace("%5B", "[").replace(
        "%5D", "]"
    )
    assert problems(query, SessionListParams) == []


def test_a_payment_page_says_what_was_reserved(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    page = gateway.create(request_)

    form = form_of(created(stripe)[0])
    assert form["line_items[1][price_data][product_data][name]"] == "Kop & schotel"
    assert form["line_items[1][price_data][unit_amount]"] == "1295"
    assert form["line_items[1][quantity]"] == "2"
    assert form["client_reference_id"] == "7"
    assert form["expires_at"] == str(int(request_.expires_at.timestamp()))
    assert form["custom_text[submit][message]"] == request_.notice
    assert "session_id={CHECKOUT_SESSION_ID}" in form["success_url"]
    assert form["cancel_url"] == "http://127.0.0.1:8000/checkout/cancel/7"
    assert (page.status, page.bill.total_cents, page.bill.currency) == (
        "open",
        7185,
        "eur",
    )
    assert page.checkout_key == "checkout-7"


def test_session_and_payment_carry_the_same_metadata(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    gateway.create(request_)

    form = form_of(created(stripe)[0])
    for place in ("metadata", "payment_intent_data[metadata]"):
        assert form[f"{place}[checkout_id]"] == "7"
        assert form[f"{place}[checkout_key]"] == "checkout-7"


def test_methods_that_pay_days_later_are_not_offered(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    gateway.create(request_)

    form = form_of(created(stripe)[0])
    excluded = {
        value for name, value in form.items() if name.startswith("excluded_payment")
    }
    assert excluded == set(DELAYED_METHODS)
    assert not any(name.startswith("payment_method_types") for name in form)


def test_the_key_of_a_request_is_not_in_its_body(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    gateway.create(request_)

    (call,) = created(stripe)
    assert call["headers"]["Idempotency-Key"] == "checkout-7"
    assert "idempotency_key" not in form_of(call)


def test_the_same_request_gives_the_same_bytes_and_the_same_page(
    stripe: EmulatorServer, request_: SessionRequest
) -> None:
    first = StripeGateway(KEY, WEBHOOK_SECRET, stripe.url).create(request_)
    second = StripeGateway(KEY, WEBHOOK_SECRET, stripe.url).create(request_)

    bodies = [call["body"] for call in created(stripe)]
    assert bodies[0] == bodies[1]
    assert first == second


@pytest.mark.parametrize("name", ["x" * 5000, "\u20ac" * 5000, "\U0001f375" * 5000])
def test_a_name_that_is_too_long_for_stripe_is_cut(
    gateway: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    name: str,
) -> None:
    gateway.create(replace(request_, lines=(replace(LINE, name=name),)))

    sent = form_of(created(stripe)[0])["line_items[0][price_data][product_data][name]"]
    assert sent == name[:MOST_NAME_CHARACTERS]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
def test_a_refusal_proves_that_there_is_no_page(
    gateway: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    status: int,
) -> None:
    stripe.fault("create", "status", status=status)

    with pytest.raises(PaymentError) as refusal:
        gateway.create(request_)

    assert type(refusal.value) is PaymentError
    assert len(created(stripe)) == 1


@pytest.mark.parametrize("status", [409, 429, 500, 502, 503])
def test_an_answer_that_proves_nothing_is_told_apart(
    gateway: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    status: int,
) -> None:
    stripe.fault("create", "status", status=status, times=0)

    with pytest.raises(PaymentUnavailableError):
        gateway.create(request_)


@pytest.mark.parametrize("kind", ["drop_after", "hang", "error_after", "timeout_after"])
def test_no_answer_proves_nothing(
    hasty: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    kind: str,
) -> None:
    stripe.fault("create", kind, seconds=3, times=0)

    with pytest.raises(PaymentUnavailableError):
        hasty.create(request_)


def test_nobody_at_the_address_proves_nothing(request_: SessionRequest) -> None:
    nowhere = StripeGateway(KEY, WEBHOOK_SECRET, f"http://127.0.0.1:{free_port()}")

    with pytest.raises(PaymentUnavailableError):
        nowhere.create(request_)


def test_other_parameters_under_one_key_prove_nothing(
    gateway: StripeGateway, request_: SessionRequest
) -> None:
    gateway.create(request_)

    with pytest.raises(PaymentUnavailableError):
        gateway.create(replace(request_, notice="something else"))


@pytest.mark.parametrize("status", [409, 500, 502])
def test_a_failure_that_passes_is_tried_again_under_the_same_key(
    gateway: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    status: int,
) -> None:
    stripe.fault("create", "status", status=status)

    page = gateway.create(request_)

    first, second = created(stripe)
    assert page.status == "open"
    assert first["body"] == second["body"]
    assert first["headers"]["Idempotency-Key"] == second["headers"]["Idempotency-Key"]


@pytest.mark.parametrize("kind", ["drop_after", "hang", "timeout_after"])
def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_key(
    hasty: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    kind: str,
) -> None:
    stripe.fault("create", kind, seconds=1)

    page = hasty.create(request_)

    first, *more = created(stripe)
    assert page.status == "open"
    assert more
    for again in more:
        assert first["body"] == again["body"]
        assert again["headers"]["Idempotency-Key"] == "checkout-7"


def test_calls_name_the_version_that_the_package_is_made_for(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    gateway.retrieve(gateway.create(request_).id)

    versions = {call["headers"]["Stripe-Version"] for call in stripe.requests()}
    assert versions == {api_version}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 400}, PaymentError),
        ({"kind": "status", "status": 401}, PaymentError),
        ({"kind": "status", "status": 429}, PaymentBusyError),
        ({"kind": "status", "status": 502}, PaymentUnavailableError),
        ({"kind": "hang"}, PaymentUnavailableError),
        ({"kind": "drop_after"}, PaymentUnavailableError),
    ],
)
@pytest.mark.parametrize("route", ["retrieve", "expire", "list", "refund"])
def test_every_call_speaks_of_the_same_failures(
    hasty: StripeGateway,
    stripe: EmulatorServer,
    now: datetime,
    *,
    route: str,
    fault: dict[str, Any],
    error: type[PaymentError],
) -> None:
    stripe.fault("*", **fault, seconds=3, times=0)
    calls = {
        "retrieve": lambda: hasty.retrieve("cs_test_1"),
        "expire": lambda: hasty.expire("cs_test_1"),
        "list": lambda: hasty.find("checkout-7", since=now),
        "refund": lambda: hasty.refund("pi_1", 100, key="refund-1"),
    }

    with pytest.raises(PaymentError) as refusal:
        calls[route]()

    is_key_of_a_refund = route == "refund" and fault.get("status") == 401
    expected = PaymentUnavailableError if is_key_of_a_refund else error
    assert type(refusal.value) is expected


def test_a_session_is_retrieved_as_it_is_now(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    page = gateway.create(request_)
    stripe.pay(page.id)

    found = gateway.retrieve(page.id)

    assert found is not None
    assert found.is_paid
    assert not found.is_closed
    assert found.payment_intent is not None
    assert found.payment_intent.startswith("pi_")
    assert found.bill.customer_email
    assert found.checkout_key == "checkout-7"


def test_what_stripe_does_not_know_is_none(gateway: StripeGateway) -> None:
    assert gateway.retrieve("cs_test_unknown") is None
    assert gateway.expire("cs_test_unknown") is None


@pytest.mark.parametrize(
    "strange", ["", ".", "..", "/", "cs/expire", "cs?x=1", "cs#x", "@host", "é", "a b"]
)
def test_what_can_be_no_session_is_not_asked_for(
    gateway: StripeGateway, stripe: EmulatorServer, strange: str
) -> None:
    assert gateway.retrieve(strange) is None
    assert gateway.expire(strange) is None
    assert stripe.requests() == []


def test_an_expired_session_is_closed_however_often_it_is_asked(
    gateway: StripeGateway, request_: SessionRequest
) -> None:
    page = gateway.create(request_)

    first, second = gateway.expire(page.id), gateway.expire(page.id)

    assert first is not None
    assert second is not None
    assert first.is_closed
    assert second.is_closed


def test_expiring_what_was_paid_tells_that_it_was(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    page = gateway.create(request_)
    stripe.pay(page.id)

    found = gateway.expire(page.id)

    assert found is not None
    assert found.is_paid


def test_expiring_again_after_a_stored_500_is_asked_anew(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    page = gateway.create(request_)
    stripe.fault("expire", "error_before")
    with pytest.raises(PaymentUnavailableError):
        gateway.expire(page.id)

    found = gateway.expire(page.id)

    assert found is not None
    assert found.is_closed


def test_a_session_is_found_by_its_key_over_pages(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    first = gateway.create(another(request_, 1))
    for number in range(2, 103):
        gateway.create(another(request_, number))

    found = gateway.find("checkout-1", since=request_.expires_at - timedelta(hours=1))

    assert found is not None
    assert found.id == first.id
    listed = [each for each in stripe.requests(CREATE) if each["method"] == "GET"]
    assert len(listed) == 2


def test_a_key_that_nobody_used_is_not_found(
    gateway: StripeGateway, request_: SessionRequest, now: datetime
) -> None:
    gateway.create(request_)

    assert gateway.find("checkout-8", since=now - timedelta(hours=1)) is None
    assert gateway.find("checkout-7", since=now + timedelta(hours=1)) is None


def test_one_key_is_one_refund(
    gateway: StripeGateway, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    page = gateway.create(request_)
    stripe.pay(page.id)
    paid = gateway.retrieve(page.id)
    assert paid is not None
    intent = paid.payment_intent or ""

    first = gateway.refund(intent, paid.bill.total_cents, key="refund-1")
    second = gateway.refund(intent, paid.bill.total_cents, key="refund-1")

    assert first == second
    assert gateway.refund(intent, paid.bill.total_cents, key="refund-2") == first


def test_secrets_and_customers_are_in_no_error_and_no_log(
    gateway: StripeGateway,
    stripe: EmulatorServer,
    request_: SessionRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    told = []
    for status in (400, 401, 403, 429, 500, 502):
        stripe.fault("create", "status", status=status, times=3)
        with pytest.raises(PaymentError) as refusal:
            gateway.create(another(request_, status))
        told.append(str(refusal.value))
        stripe.control("faults/clear")

    everything = " ".join(told) + caplog.text
    for private in (KEY, WEBHOOK_SECRET, "Theepot", "127.0.0.1:8000"):
        assert private not in everything
    assert "InvalidRequestError 400" in told[0]


def test_times_are_cut_to_the_seconds_that_stripe_counts_in() -> None:
    moment = datetime(2026, 11, 22, 12, 0, 59, 999_999, tzinfo=UTC)

    assert epoch(moment) == moment.replace(microsecond=0)
