"""What a session offers and asks for besides its lines, paid by the control API."""

import pytest
import requests
import stripe

from stripe_emulator.validation.stripe_types import check_answer
from tests.stripe_emulator.conftest import as_json, order

COUNTRIES = {"shipping_address_collection": {"allowed_countries": ["NL", "BE"]}}
ASKING = COUNTRIES | {
    "phone_number_collection": {"enabled": True},
    "consent_collection": {"terms_of_service": "required"},
}
EXPANDED = [
    "payment_intent",
    "discounts.promotion_code",
    "shipping_cost.shipping_rate",
    "total_details.breakdown",
]


def way(name="Post", amount=495, **changes):
    data = {"display_name": name, "type": "fixed_amount"}
    data["fixed_amount"] = {"amount": amount, "currency": "eur"}
    return {"shipping_rate_data": data | changes}


POST_OR_COURIER = {"shipping_options": [way(), way("Courier", 995)]}


def refused(sessions, **changes):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sessions.create(order(**changes))
    return caught.value


def test_the_first_way_of_shipping_is_in_the_total(sessions):
    session = sessions.create(order(**POST_OR_COURIER))

    assert check_answer(as_json(session), stripe.checkout.Session) == []
    assert (session.amount_subtotal, session.amount_total) == (2590, 3085)
    assert session.total_details.amount_shipping == 495
    assert session.shipping_cost.amount_total == 495
    amounts = [option.shipping_amount for option in session.shipping_options]
    assert amounts == [495, 995]


@pytest.mark.parametrize("wanted", [1, "Courier"])
def test_another_way_of_shipping_can_be_paid(client, sessions, control, wanted):
    session = sessions.create(order(**POST_OR_COURIER))
    control(f"sessions/{session.id}/pay", shipping=wanted)

    paid = sessions.retrieve(session.id, {"expand": EXPANDED})

    assert check_answer(as_json(paid), stripe.checkout.Session) == []
    assert paid.amount_total == 3585
    assert paid.shipping_cost.shipping_rate.display_name == "Courier"
    assert paid.payment_intent.amount_received == 3585


def test_a_way_of_shipping_that_is_not_offered_is_refused(sessions, control):
    session = sessions.create(order(**POST_OR_COURIER))

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"sessions/{session.id}/pay", shipping="Drone")

    assert sessions.retrieve(session.id).status == "open"


def test_a_stored_shipping_rate_can_be_offered(client, sessions):
    rate = client.v1.shipping_rates.create(
        {
            "display_name": "Post",
            "type": "fixed_amount",
            "fixed_amount": {"amount": 495, "currency": "eur"},
            "delivery_estimate": {"maximum": {"unit": "business_day", "value": 3}},
            "tax_behavior": "inclusive",
            "metadata": {"carrier": "1"},
        }
    )

    session = sessions.create(order(shipping_options=[{"shipping_rate": rate.id}]))

    assert check_answer(as_json(rate), stripe.ShippingRate) == []
    assert session.shipping_cost.shipping_rate == rate.id
    assert client.v1.shipping_rates.retrieve(rate.id).delivery_estimate.maximum.value
    listed = client.v1.shipping_rates.list({"active": True, "currency": "eur"})
    assert [row.id for row in listed.data] == [rate.id]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ([way()] * 6, "shipping_options"),
        ([way(fixed_amount={"amount": 1, "currency": "usd"})], "shipping_options[0]"),
        ([{"shipping_rate": "shr_x"}], "shipping_options[0][shipping_rate]"),
        (
            [{"shipping_rate": "shr_x"} | way()],
            "shipping_options[0][shipping_rate]",
        ),
        (
            [way(fixed_amount={"amount": -1, "currency": "eur"})],
            "shipping_options[0][shipping_rate_data][fixed_amount][amount]",
        ),
        (
            [{"shipping_rate_data": {"display_name": "Post"}}],
            "shipping_options[0][shipping_rate_data][fixed_amount]",
        ),
        (
            [way(tax_code="txcd_92010001")],
            "shipping_options[0][shipping_rate_data][tax_code]",
        ),
        (
            [way(colour="red")],
            "shipping_options[0][shipping_rate_data][colour]",
        ),
    ],
)
def test_shipping_that_cannot_be_is_refused(sessions, options, param):
    error = refused(sessions, shipping_options=options)

    assert error.param == param
    assert sessions.list().data == []


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"shipping_address_collection": {"allowed_countries": ["XX"]}}, "[0]"),
        ({"consent_collection": {"promotions": "auto"}}, "[promotions]"),
        ({"customer_creation": "never"}, "customer_creation"),
        ({"customer_creation": "always"}, "customer_creation"),
        ({"billing_address_collection": "no"}, "billing_address_collection"),
    ],
)
def test_a_question_that_stripe_does_not_ask_is_refused(sessions, changes, param):
    assert param in refused(sessions, **changes).param


def test_what_was_asked_for_is_collected(client, sessions, control):
    session = sessions.create(order(**ASKING))
    address = {"line1": "Dorpsstraat 2", "postal_code": "9000", "city": "Gent"}
    payer = {
        "name": "A Customer",
        "phone": "+32470000000",
        "address": address | {"country": "BE"},
    }
    control(f"sessions/{session.id}/pay", payer=payer)

    paid = sessions.retrieve(session.id, {"expand": EXPANDED})

    assert check_answer(as_json(paid), stripe.checkout.Session) == []
    shipping = paid.collected_information.shipping_details
    assert (shipping.name, shipping.address.city) == ("A Customer", "Gent")
    assert paid.customer_details.phone == "+32470000000"
    assert paid.consent.terms_of_service == "accepted"
    assert paid.payment_intent.shipping.address.country == "BE"
    assert "shipping_details" not in paid


def test_the_demo_payer_fills_in_what_is_asked_for(sessions, control):
    session = sessions.create(order(**ASKING))
    control(f"sessions/{session.id}/pay")

    paid = sessions.retrieve(session.id)

    assert paid.collected_information.shipping_details.address.country == "NL"
    assert paid.customer_details.phone.startswith("+31")


def test_what_was_not_asked_for_is_not_collected(sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay", payer={"phone": "+31612345678"})

    paid = sessions.retrieve(session.id)

    assert paid.collected_information.shipping_details is None
    assert paid.customer_details.phone is None
    assert paid.consent is None


def test_a_billing_address_can_be_demanded(client, sessions, control):
    session = sessions.create(order(billing_address_collection="required"))
    control(f"sessions/{session.id}/pay")

    paid = sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})

    assert paid.collected_information.shipping_details is None
    assert paid.customer_details.address.country == "NL"
    billed = paid.payment_intent.latest_charge.billing_details
    assert billed.address.city == "Teststad"


@pytest.mark.parametrize(
    "payer",
    [
        {"address": {"country": "DE"}},
        {"address": {"line1": ""}},
        {"phone": "12"},
        {"terms": False},
    ],
)
@pytest.mark.parametrize("method", ["card", "decline"])
def test_a_payer_who_leaves_something_out_pays_nothing(
    sessions, control, payer, method
):
    session = sessions.create(order(**ASKING))

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"sessions/{session.id}/pay", payer=payer, method=method)

    assert sessions.retrieve(session.id).payment_intent is None


def test_an_expired_session_can_be_recovered(sessions, control):
    old = sessions.create(
        order(metadata={"a": "1"}, client_reference_id="7", **POST_OR_COURIER)
    )
    sessions.expire(old.id)

    new = sessions.retrieve(control(f"sessions/{old.id}/recover")["id"])
    control(f"sessions/{new.id}/pay")

    assert check_answer(as_json(new), stripe.checkout.Session) == []
    assert (new.status, new.recovered_from) == ("open", old.id)
    assert (new.metadata["a"], new.client_reference_id) == ("1", "7")
    assert new.url.endswith(new.id)
    assert (new.amount_total, new.payment_status) == (3085, "unpaid")
    assert sessions.retrieve(new.id).payment_status == "paid"
    assert sessions.retrieve(old.id).status == "expired"


def test_only_an_expired_session_is_recovered(sessions, control):
    session = sessions.create(order())

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"sessions/{session.id}/recover")


def test_a_recovered_session_ends_by_itself(sessions, control):
    old = sessions.create(order())
    sessions.expire(old.id)
    new = control(f"sessions/{old.id}/recover")

    control("clock", advance=86_401)

    assert sessions.retrieve(new["id"]).status == "expired"


def test_the_control_route_takes_no_unknown_word(sessions, control):
    session = sessions.create(order())

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"sessions/{session.id}/pay", coupon="TEN")
