import pytest
import requests
import stripe

from stripe_emulator.validation.stripe_types import check_answer
from tests.stripe_emulator.conftest import as_json, order


@pytest.fixture
def paid(sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay")
    return sessions.retrieve(session.id)


def told(shop):
    return [event["type"] for event in shop.events("charge.dispute")]


def test_a_charge_can_be_disputed(client, paid, control, shop):
    made = control(f"charges/{paid.payment_intent}/dispute")

    (event,) = shop.wait_for("charge.dispute.created")
    found = client.v1.disputes.retrieve(made["id"])
    assert check_answer(event["data"]["object"], stripe.Dispute) == []
    assert check_answer(as_json(found), stripe.Dispute) == []
    assert found.payment_intent == paid.payment_intent
    assert (found.amount, found.status) == (2590, "needs_response")
    assert client.v1.charges.retrieve(found.charge).disputed


def test_a_dispute_takes_the_money_at_once(client, paid, control, shop):
    made = control(f"charges/{paid.payment_intent}/dispute", amount=590)

    shop.wait_for("charge.dispute.funds_withdrawn")
    (moved,) = made["balance_transactions"]
    assert (moved["amount"], moved["net"]) == (-590, -2590)


@pytest.mark.parametrize(("outcome", "moves"), [("won", 2), ("lost", 1)])
def test_a_dispute_is_won_or_lost(client, paid, control, shop, outcome, moves):
    made = control(f"charges/{paid.payment_intent}/dispute")
    control(f"disputes/{made['id']}/close", outcome=outcome)

    (event,) = shop.wait_for("charge.dispute.closed")
    assert event["data"]["object"]["status"] == outcome
    assert check_answer(event["data"]["object"], stripe.Dispute) == []
    shop.wait_for("charge.dispute.updated")
    if outcome == "won":
        shop.wait_for("charge.dispute.funds_reinstated")
    found = client.v1.disputes.retrieve(made["id"])
    assert len(found.balance_transactions) == moves
    assert ("charge.dispute.funds_reinstated" in told(shop)) == (outcome == "won")


def test_a_dispute_can_be_under_review(client, paid, control, shop):
    made = control(f"charges/{paid.payment_intent}/dispute")
    control(f"disputes/{made['id']}/review")

    (event,) = shop.wait_for("charge.dispute.updated")
    assert event["data"]["previous_attributes"] == {"status": "needs_response"}
    assert client.v1.disputes.retrieve(made["id"]).status == "under_review"


def test_a_dispute_is_closed_once(paid, control):
    made = control(f"charges/{paid.payment_intent}/dispute")
    control(f"disputes/{made['id']}/close", outcome="lost")

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"disputes/{made['id']}/close", outcome="won")


@pytest.mark.parametrize("amount", [0, 2591])
def test_a_dispute_is_about_what_was_paid(paid, control, amount):
    with pytest.raises(requests.HTTPError, match="400"):
        control(f"charges/{paid.payment_intent}/dispute", amount=amount)


def test_a_charge_is_disputed_once(paid, control):
    control(f"charges/{paid.payment_intent}/dispute")

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"charges/{paid.payment_intent}/dispute")


def test_disputed_money_cannot_be_refunded_until_it_is_won(client, paid, control):
    made = control(f"charges/{paid.payment_intent}/dispute")
    params: stripe.params.RefundCreateParams = {"payment_intent": paid.payment_intent}

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create(params)
    control(f"disputes/{made['id']}/close", outcome="won")

    assert caught.value.code == "charge_disputed"
    assert client.v1.refunds.create(params).status == "succeeded"


def test_disputes_are_listed(client, sessions, paid, control):
    made = control(f"charges/{paid.payment_intent}/dispute")

    def ids(**params):
        return [row.id for row in client.v1.disputes.list(params).data]

    assert ids(payment_intent=paid.payment_intent) == [made["id"]]
    assert ids(charge=made["charge"]) == [made["id"]]
    assert ids(created={"gt": made["created"]}) == []
    assert ids(payment_intent="pi_other") == []
