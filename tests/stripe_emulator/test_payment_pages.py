"""Payments without a browser: payment methods, payment pages, payment intents."""

import threading

import pytest
import requests
import stripe

from stripe_emulator.validation.stripe_types import check_answer
from tests.emulator import wait_until
from tests.stripe_emulator.conftest import as_json, order

PAYER = {"name": "Test Tester", "email": "test@example.com"}
ADDRESS = {"line1": "Teststraat 1", "postal_code": "1234 AB"}
ADDRESS |= {"city": "Teststad", "country": "NL"}


@pytest.fixture
def card(client):
    """Make a payment method of the card that a token stands for."""

    def make(token="tok_visa", **billing):
        told = {"type": "card", "card": {"token": token}}
        details = {**PAYER, **billing}
        return client.v1.payment_methods.create({**told, "billing_details": details})

    return make


@pytest.fixture
def bank(client):
    def make(iban):
        told = {"type": "sepa_debit", "sepa_debit": {"iban": iban}}
        return client.v1.payment_methods.create({**told, "billing_details": PAYER})

    return make


@pytest.fixture
def confirm(url):
    """Pay a session as the client does: with the account's default version."""

    def post(session_id, method=None, amount=2590, **more):
        form = {"expected_amount": amount, **more}
        if method is not None:
            form["payment_method"] = getattr(method, "id", method)
        at = f"{url}/v1/payment_pages/{session_id}/confirm"
        return requests.post(at, data=form, auth=("sk_test_x", ""), timeout=30)

    return post


@pytest.fixture
def new_intent(url):
    def post(**form):
        told = {"amount": 100, "currency": "usd", "payment_method_types[]": "card"}
        at = f"{url}/v1/payment_intents"
        return requests.post(
            at, data={**told, **form}, auth=("sk_test_x", ""), timeout=30
        )

    return post


def test_payment_methods_are_told_as_the_package_knows_them(client, card, bank):
    for method in (card(), bank("NL39RABO0300065264")):
        again = client.v1.payment_methods.retrieve(method.id)

        assert check_answer(as_json(again), stripe.PaymentMethod) == []


def test_a_page_tells_what_is_due(client, sessions):
    session = sessions.create(order())

    answer = client.raw_request("get", f"/v1/payment_pages/{session.id}")

    page = answer.data
    assert (page["session_id"], page["status"]) == (session.id, "open")
    assert page["total_summary"]["due"] == 2590


def test_a_card_pays_a_session(client, sessions, card, confirm):
    session, method = sessions.create(order()), card(address=ADDRESS)

    answer = confirm(session.id, method)

    assert answer.json()["payment_status"] == "paid"
    paid = sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert paid.customer_details.email == PAYER["email"]
    assert paid.customer_details.address.city == "Teststad"
    charge = paid.payment_intent.latest_charge
    assert charge.payment_method == method.id
    assert check_answer(as_json(paid), stripe.checkout.Session) == []
    assert check_answer(as_json(charge), stripe.Charge) == []


def test_the_shown_amount_is_the_amount_paid(sessions, card, confirm):
    session = sessions.create(order())

    answer = confirm(session.id, card(), amount=2589)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "expected_amount"
    assert sessions.retrieve(session.id).status == "open"


@pytest.mark.parametrize("end", ["expire", "pay"])
def test_a_session_that_is_over_cannot_be_paid(sessions, card, confirm, control, end):
    session = sessions.create(order())
    if end == "expire":
        sessions.expire(session.id)
    else:
        control(f"sessions/{session.id}/pay")

    answer = confirm(session.id, card())

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "checkout_not_active_session"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok_visa_chargeDeclined", "generic_decline"),
        ("tok_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_declined_card_leaves_the_session_open(sessions, card, confirm, token, code):
    session = sessions.create(order())

    answer = confirm(session.id, card(token))

    assert answer.status_code == 402
    assert answer.json()["error"]["decline_code"] == code
    assert sessions.retrieve(session.id).status == "open"
    assert confirm(session.id, card()).status_code == 200


def test_a_card_token_of_stripe_pays_without_a_payment_method(sessions, confirm):
    session = sessions.create(order(customer_email="test@example.com"))

    assert confirm(session.id, "pm_card_visa").status_code == 200
    assert sessions.retrieve(session.id).payment_status == "paid"


def test_a_payment_method_pays_once(sessions, card, confirm):
    method = card()
    first, second = sessions.create(order()), sessions.create(order())
    confirm(first.id, method)

    answer = confirm(second.id, method)

    assert answer.status_code == 400
    assert "previously used" in answer.json()["error"]["message"]
    assert sessions.retrieve(second.id).status == "open"


def test_a_payer_without_an_address_for_mail_is_refused(sessions, confirm):
    session = sessions.create(order())

    answer = confirm(session.id, "pm_card_visa")

    assert answer.status_code == 400
    assert "e-mail" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("form", "param"),
    [({"colour": "red"}, "colour"), ({"payment_method[type]": "card"}, None)],
)
def test_a_page_takes_what_the_client_sends_and_no_more(sessions, confirm, form, param):
    session = sessions.create(order())

    answer = confirm(session.id, **form)

    assert answer.status_code == 400
    assert param in (None, answer.json()["error"]["param"])
    assert sessions.retrieve(session.id).status == "open"


@pytest.mark.parametrize("name", ["payment_method", "expected_amount"])
def test_a_page_demands_both(url, sessions, name):
    session = sessions.create(order())
    form = {"payment_method": "pm_card_visa", "expected_amount": "2590"}
    del form[name]
    at = f"{url}/v1/payment_pages/{session.id}/confirm"

    answer = requests.post(at, data=form, auth=("sk_test_x", ""), timeout=30)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name


@pytest.mark.parametrize(
    "asked",
    [
        {"shipping_address_collection": {"allowed_countries": ["NL"]}},
        {"consent_collection": {"terms_of_service": "required"}},
    ],
)
def test_what_the_client_cannot_tell_is_not_passed_over(sessions, card, confirm, asked):
    session = sessions.create(order(**asked))

    answer = confirm(session.id, card(address=ADDRESS))

    assert answer.status_code == 400
    assert sessions.retrieve(session.id).status == "open"


def test_where_nothing_is_due_no_payment_method_is_needed(sessions, confirm):
    gift = {"currency": "eur", "unit_amount": 0, "product_data": {"name": "Gift"}}
    session = sessions.create(order(line_items=[{"price_data": gift, "quantity": 1}]))

    assert confirm(session.id, amount=0).status_code == 200
    assert sessions.retrieve(session.id).payment_status == "no_payment_required"


def test_an_unknown_page_is_not_found(confirm):
    answer = confirm("cs_test_none", "pm_card_visa")

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "No such payment_page: 'cs_test_none'"


@pytest.mark.parametrize(
    ("iban", "end"),
    [("AT321904300235473204", "succeeded"), ("NL28RABO0300065268", "failed")],
)
def test_a_slow_bank_answers_after_three_minutes(
    client, bank, confirm, control, iban, end
):
    session = client.v1.checkout.sessions.create(order())
    confirm(session.id, bank(iban))
    control("clock", advance=170)
    early = client.v1.events.list().data[0]

    control("clock", advance=20)

    assert early.type == "checkout.session.completed"
    assert early.data.object.payment_status == "unpaid"
    last = client.v1.events.list().data[0]
    assert last.type == f"checkout.session.async_payment_{end}"
    assert last.data.object.payment_status == {"succeeded": "paid"}.get(end, "unpaid")


def test_a_bank_that_a_test_has_spoken_for_is_not_asked_again(
    client, sessions, bank, confirm, control
):
    session = sessions.create(order())
    confirm(session.id, bank("AT321904300235473204"))
    control(f"sessions/{session.id}/settle", outcome="fail")

    control("clock", advance=200)

    assert sessions.retrieve(session.id).payment_status == "unpaid"
    kinds = [event.type for event in client.v1.events.list().data]
    assert "checkout.session.async_payment_succeeded" not in kinds


def test_a_confirm_waits_where_a_payment_on_the_page_would(
    sessions, card, confirm, control, look
):
    session, method, answers = sessions.create(order()), card(), []
    control("barriers", route="pay")
    payer = threading.Thread(target=lambda: answers.append(confirm(session.id, method)))
    payer.start()
    wait_until(lambda: look("barriers")["waiting"])
    sessions.expire(session.id)

    control("barriers/release", route="pay")
    payer.join()

    assert answers[0].status_code == 400
    assert sessions.retrieve(session.id).status == "expired"


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"type": "card", "card": {"token": "tok_none"}}, "card[token]"),
        ({"type": "card", "card": {"token": "visa"}}, "card[token]"),
        ({"type": "card"}, "card"),
        ({"type": "ideal", "ideal": {}}, "type"),
        ({"type": "sepa_debit", "sepa_debit": {"iban": "NL00"}}, None),
        ({"card": {"token": "tok_visa"}}, "type"),
    ],
)
def test_a_payment_method_that_is_wrong_is_refused(client, told, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_methods.create({**told, "billing_details": PAYER})

    assert param in (None, caught.value.param)


def test_an_account_number_with_a_slip_is_refused(bank):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        bank("NL39RABO0300065265")

    assert caught.value.param == "sepa_debit[iban]"


def test_a_payment_intent_is_charged_at_once(client, new_intent):
    answer = new_intent(payment_method="pm_card_visa", confirm="true")

    assert answer.json()["status"] == "succeeded"
    found = client.v1.payment_intents.retrieve(answer.json()["id"])
    assert found.amount_received == 100
    assert check_answer(as_json(found), stripe.PaymentIntent) == []


def test_a_payment_intent_of_a_declined_card_takes_nothing(client, new_intent):
    method = "pm_card_visa_chargeDeclined"

    answer = new_intent(payment_method=method, confirm="true")

    assert answer.status_code == 402
    (intent,) = client.v1.payment_intents.list().data
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)


@pytest.mark.parametrize(
    "form",
    [
        {"confirm": "true"},
        {"payment_method_types[]": "ideal"},
        {"amount": 0},
        {"colour": "red"},
        {"capture_method": "manual"},
    ],
)
def test_a_payment_intent_that_is_wrong_is_refused(client, new_intent, form):
    answer = new_intent(**form)

    assert answer.status_code == 400
    assert client.v1.payment_intents.list().data == []


def test_what_waits_at_creation_goes_with_the_payment(sessions, card, confirm):
    shipping = {"name": "Test Tester", "address": ADDRESS}
    data = {"shipping": shipping, "setup_future_usage": "off_session"}
    session = sessions.create(order(payment_intent_data=data))
    confirm(session.id, card())

    paid = sessions.retrieve(session.id, {"expand": ["payment_intent"]})

    intent = paid.payment_intent
    assert intent.setup_future_usage == "off_session"
    assert intent.shipping.address.city == "Teststad"
    assert check_answer(as_json(intent), stripe.PaymentIntent) == []
