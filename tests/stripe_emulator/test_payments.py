import threading
from typing import get_args

import pytest
import requests
import stripe

from stripe_emulator.validation.stripe_types import check_answer
from tests.stripe_emulator.conftest import as_json, order


@pytest.fixture
def paid(sessions, control):
    session = sessions.create(order(payment_intent_data={"metadata": {"order": "7"}}))
    control(f"sessions/{session.id}/pay", method="card")
    return sessions.retrieve(session.id)


def charge_of(client, paid):
    intent = client.v1.payment_intents.retrieve(paid.payment_intent)
    return client.v1.charges.retrieve(intent.latest_charge)


def test_a_paid_session_is_complete(paid):
    assert check_answer(as_json(paid), stripe.checkout.Session) == []
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert paid.url is None
    assert paid.customer_details.email == "test@example.com"


def test_payment_intent_and_charge_have_the_complete_shape(client, paid):
    intent = client.v1.payment_intents.retrieve(paid.payment_intent)
    charge = charge_of(client, paid)

    assert check_answer(as_json(intent), stripe.PaymentIntent) == []
    assert check_answer(as_json(charge), stripe.Charge) == []
    assert (intent.status, intent.amount_received) == ("succeeded", 2590)
    assert charge.paid


def test_only_the_metadata_meant_for_it_reaches_the_payment(client, sessions, control):
    session = sessions.create(order(metadata={"checkout": "7"}))
    control(f"sessions/{session.id}/pay", method="ideal")

    intent = sessions.retrieve(session.id, {"expand": ["payment_intent"]})

    assert as_json(intent.payment_intent)["metadata"] == {}


def test_the_payment_carries_the_metadata_meant_for_it(client, paid):
    assert charge_of(client, paid).metadata["order"] == "7"


def test_a_free_order_asks_for_no_payment(sessions, control):
    free = {"currency": "eur", "unit_amount": 0, "product_data": {"name": "Sample"}}
    lines = [{"price_data": free, "quantity": 1}]
    session = sessions.create(order(line_items=lines))
    control(f"sessions/{session.id}/pay")

    found = sessions.retrieve(session.id)

    assert (found.status, found.payment_status) == ("complete", "no_payment_required")
    assert found.payment_intent is None


def test_a_declined_payment_leaves_the_session_open(client, sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay", method="decline")

    found = sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})

    assert check_answer(as_json(found), stripe.checkout.Session) == []
    assert (found.status, found.payment_status) == ("open", "unpaid")
    assert found.payment_intent.last_payment_error.code == "card_declined"
    assert found.payment_intent.latest_charge.status == "failed"


def test_a_declined_payment_can_be_tried_again(sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay", method="decline")
    control(f"sessions/{session.id}/pay", method="ideal")

    assert sessions.retrieve(session.id).payment_status == "paid"


def test_what_a_declined_payment_left_is_cancelled_with_the_session(sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay", method="decline")
    sessions.expire(session.id)

    found = sessions.retrieve(session.id, {"expand": ["payment_intent"]})

    assert found.payment_intent.status == "canceled"


@pytest.mark.parametrize(
    ("outcome", "payment_status", "kind"),
    [
        ("succeed", "paid", "async_payment_succeeded"),
        ("fail", "unpaid", "async_payment_failed"),
    ],
)
def test_a_delayed_payment_is_settled_once(
    sessions, control, shop, outcome, payment_status, kind
):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay", method="sepa_debit")
    assert sessions.retrieve(session.id).payment_status == "unpaid"
    assert sessions.retrieve(session.id).status == "complete"

    control(f"sessions/{session.id}/settle", outcome=outcome)

    assert sessions.retrieve(session.id).payment_status == payment_status
    assert len(shop.wait_for(f"checkout.session.{kind}")) == 1
    with pytest.raises(requests.HTTPError, match="409"):
        control(f"sessions/{session.id}/settle", outcome="succeed")


def test_a_delayed_method_that_the_shop_forgot_can_be_tried(sessions, control):
    session = sessions.create(order(excluded_payment_method_types=["sepa_debit"]))

    control(f"sessions/{session.id}/pay", method="sepa_debit", forgotten=True)

    assert session.payment_method_types == ["card", "ideal"]
    assert sessions.retrieve(session.id).payment_status == "unpaid"


@pytest.mark.parametrize(
    ("excluded", "method"), [("sepa_debit", "sepa_debit"), ("card", "decline")]
)
def test_a_method_that_the_page_does_not_offer_is_refused(
    sessions, control, excluded, method
):
    session = sessions.create(order(excluded_payment_method_types=[excluded]))

    with pytest.raises(requests.HTTPError, match="400") as refused:
        control(f"sessions/{session.id}/pay", method=method)

    told = refused.value.response.json()["error"]["message"]
    assert told == f"{excluded} is not offered for this session."
    found = sessions.retrieve(session.id)
    assert (found.status, found.payment_intent) == ("open", None)


def test_a_method_that_does_not_exist_is_refused(sessions, control):
    session = sessions.create(order())

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"sessions/{session.id}/pay", method="barter")


def test_of_parallel_payments_one_wins(sessions, control, shop):
    session = sessions.create(order())
    codes = []

    def pay():
        try:
            control(f"sessions/{session.id}/pay")
            codes.append(200)
        except requests.HTTPError as error:
            codes.append(error.response.status_code)

    threads = [threading.Thread(target=pay) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200] + [409] * 7
    assert len(shop.wait_for("checkout.session.completed")) == 1


def test_an_expired_session_cannot_be_paid(sessions, control):
    session = sessions.create(order())
    sessions.expire(session.id)

    with pytest.raises(requests.HTTPError, match="409"):
        control(f"sessions/{session.id}/pay")


def test_a_session_cannot_be_paid_after_its_end(emulator, sessions, control):
    session = sessions.create(order())
    emulator.clock.advance(2001)

    with pytest.raises(requests.HTTPError, match="409"):
        control(f"sessions/{session.id}/pay")


def test_payment_intents_are_listed(client, paid):
    found = client.v1.payment_intents.list({"created": {"gte": paid.created}})

    assert [row.id for row in found.data] == [paid.payment_intent]


def test_every_event_has_a_full_envelope(client, sessions, control):
    for method in ("card", "ideal", "sepa_debit", "decline"):
        session = sessions.create(order())
        control(f"sessions/{session.id}/pay", method=method)
    sessions.expire(session.id)

    events = client.v1.events.list({"limit": 100}).data

    subjects = {
        name: cls
        for cls in (stripe.checkout.Session, stripe.PaymentIntent, stripe.Charge)
        for name in get_args(cls.__annotations__["object"])
    }
    assert len({event.type for event in events}) >= 8
    for event in map(as_json, events):
        subject = event["data"]["object"]
        assert check_answer(event, stripe.Event) == []
        assert check_answer(subject, subjects[subject["object"]]) == []
        assert event["api_version"] == stripe.api_version
        assert event["livemode"] is False


def test_events_are_filtered_by_type(client, sessions):
    session = sessions.create(order())
    sessions.expire(session.id)

    found = client.v1.events.list({"type": "checkout.session.expired"}).data
    request = client.v1.events.retrieve(found[0].id).request

    assert [event.data.object.id for event in found] == [session.id]
    assert request.id.startswith("req_")


def test_an_event_keeps_what_was_true_when_it_happened(client, sessions, control):
    session = sessions.create(order())
    event = control(f"sessions/{session.id}/pay", method="sepa_debit")["event"]

    control(f"sessions/{session.id}/settle", outcome="succeed")

    told = client.v1.events.retrieve(event["id"]).data.object
    assert told["payment_status"] == "unpaid"
    assert sessions.retrieve(session.id).payment_status == "paid"
