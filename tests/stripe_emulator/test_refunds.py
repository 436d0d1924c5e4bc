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


def refund(client, paid, **params):
    return client.v1.refunds.create({"payment_intent": paid.payment_intent, **params})


def charge_of(client, paid):
    expand = ["latest_charge"]
    intent = client.v1.payment_intents.retrieve(paid.payment_intent, {"expand": expand})
    return intent.latest_charge


def told(shop, kind):
    """The subject of the only event of this *kind*, which must be a sound refund."""
    (event,) = shop.wait_for(kind)
    subject = event["data"]["object"]
    assert check_answer(event, stripe.Event) == []
    assert check_answer(subject, stripe.Refund) == []
    return subject


def test_a_refund_gives_all_back(client, paid):
    done = refund(client, paid, reason="requested_by_customer", metadata={"a": "1"})

    assert check_answer(as_json(done), stripe.Refund) == []
    assert (done.amount, done.status) == (2590, "succeeded")
    charge = charge_of(client, paid)
    assert (charge.refunded, charge.amount_refunded) == (True, 2590)


def test_nothing_is_refunded_twice(client, paid):
    refund(client, paid)

    with pytest.raises(stripe.InvalidRequestError, match="already been refunded") as e:
        refund(client, paid)
    assert e.value.code == "charge_already_refunded"


def test_never_more_is_refunded_than_was_paid(client, paid):
    with pytest.raises(stripe.InvalidRequestError) as whole:
        refund(client, paid, amount=2591)
    refund(client, paid, amount=2000)
    with pytest.raises(stripe.InvalidRequestError) as rest:
        refund(client, paid, amount=591)

    assert whole.value.user_message == (
        "Refund amount (€25.91) is greater than charge amount (€25.90)"
    )
    assert "unrefunded amount on charge (€5.90)" in rest.value.user_message
    assert refund(client, paid).amount == 590


def test_a_refund_by_charge_is_found_by_payment(client, paid):
    done = client.v1.refunds.create({"charge": charge_of(client, paid).id})

    found = client.v1.refunds.list({"payment_intent": paid.payment_intent})

    assert [row.id for row in found.data] == [done.id]
    assert client.v1.refunds.retrieve(done.id).id == done.id


@pytest.mark.parametrize("params", [{}, {"payment_intent": "pi_x"}, {"amount": 0}])
def test_an_impossible_refund_is_refused(client, paid, params):
    if "amount" in params:
        params = {"payment_intent": paid.payment_intent, **params}

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create(params)


def test_an_unsettled_payment_cannot_be_refunded(client, sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay", method="sepa_debit")

    with pytest.raises(stripe.InvalidRequestError, match="successful charge to refund"):
        refund(client, sessions.retrieve(session.id))


def test_a_refund_is_told(client, paid, shop):
    done = refund(client, paid, metadata={"a": "1"})

    assert told(shop, "refund.created")["metadata"] == {"a": "1"}
    (event,) = shop.wait_for("charge.refunded")
    assert event["data"]["object"]["amount_refunded"] == done.amount
    assert check_answer(event["data"]["object"], stripe.Charge) == []


def test_a_refund_can_fail_later(client, paid, control, shop):
    done = refund(client, paid)
    control(f"refunds/{done.id}/fail")

    failed = told(shop, "refund.failed")

    assert (failed["status"], failed["failure_reason"]) == (
        "failed",
        "lost_or_stolen_card",
    )
    assert told(shop, "refund.updated") == told(shop, "charge.refund.updated")
    assert client.v1.refunds.retrieve(done.id).status == "failed"


def test_what_a_failed_refund_did_not_give_can_be_given_again(client, paid, control):
    control(f"refunds/{refund(client, paid).id}/fail")

    charge = charge_of(client, paid)

    assert (charge.refunded, charge.amount_refunded) == (False, 0)
    assert refund(client, paid).status == "succeeded"


def test_a_refund_fails_once(client, paid, control):
    done = refund(client, paid)
    control(f"refunds/{done.id}/fail")

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"refunds/{done.id}/fail")


def test_the_next_refunds_can_be_pending(client, paid, control):
    control("refunds/next", status="pending", times=2)

    statuses = [refund(client, paid, amount=100).status for _ in range(3)]

    assert statuses == ["pending", "pending", "succeeded"]


def test_a_pending_refund_counts_until_it_fails(client, paid, control):
    control("refunds/next", status="pending")
    done = refund(client, paid)
    assert check_answer(as_json(done), stripe.Refund) == []
    assert charge_of(client, paid).refunded

    control(f"refunds/{done.id}/fail")

    assert charge_of(client, paid).amount_refunded == 0


def test_a_pending_refund_succeeds_later(client, paid, control, shop):
    control("refunds/next", status="pending")
    done = refund(client, paid)
    control(f"refunds/{done.id}/succeed")

    assert told(shop, "refund.updated")["status"] == "succeeded"
    (event,) = shop.wait_for("charge.refund.updated")
    assert event["data"]["previous_attributes"]["status"] == "pending"
    with pytest.raises(requests.HTTPError, match="400"):
        control(f"refunds/{done.id}/succeed")


def test_a_refund_can_fail_at_once(client, paid, control, shop):
    control("refunds/next", status="failed")

    done = refund(client, paid)

    assert check_answer(as_json(done), stripe.Refund) == []
    assert done.status == "failed"
    assert told(shop, "refund.failed")["id"] == done.id
    assert charge_of(client, paid).amount_refunded == 0
    assert shop.events("charge.refunded") == []


def test_a_reset_forgets_what_the_next_refunds_were_to_be(control):
    control("refunds/next", status="failed", times=3)

    control("reset")

    assert len(control("refunds/next", status="pending")["next"]) == 1


def test_the_metadata_of_a_refund_can_be_changed(client, paid, shop):
    done = refund(client, paid, metadata={"a": "1"})

    changed = client.v1.refunds.update(done.id, {"metadata": {"a": "", "b": "2"}})

    assert as_json(changed)["metadata"] == {"b": "2"}
    assert told(shop, "refund.updated")["metadata"] == {"b": "2"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.update(done.id, {"amount": 1})


@pytest.mark.parametrize("name", ["session", "intent", "charge"])
def test_a_refund_can_be_made_by_hand_at_stripe(client, paid, control, shop, name):
    ids = {
        "session": paid.id,
        "intent": paid.payment_intent,
        "charge": charge_of(client, paid).id,
    }

    control(f"charges/{ids[name]}/refund", amount=590, reason="duplicate")

    assert told(shop, "refund.created")["amount"] == 590
    (listed,) = client.v1.refunds.list({"charge": ids["charge"]}).data
    assert (listed.reason, charge_of(client, paid).amount_refunded) == (
        "duplicate",
        590,
    )


def test_refunds_are_listed_by_time(client, paid):
    done = refund(client, paid, amount=1)

    def ids(**created):
        return [row.id for row in client.v1.refunds.list({"created": created}).data]

    assert ids(gte=done.created) == [done.id]
    assert ids(gt=done.created) == []


def test_a_lost_answer_to_a_refund_is_one_refund(client, paid, control):
    control("faults", route="refund", kind="drop_after")
    key: stripe.RequestOptions = {"idempotency_key": "refund-7"}
    params: stripe.params.RefundCreateParams = {"payment_intent": paid.payment_intent}
    with pytest.raises(stripe.APIConnectionError):
        client.v1.refunds.create(params, key)

    again = client.v1.refunds.create(params, key)

    assert [row.id for row in client.v1.refunds.list().data] == [again.id]
