"""What a customer chooses and fills in on the hosted page."""

import re

import pytest

from stripe_emulator.hosted_page.words import delivery
from tests.stripe_emulator.conftest import order
from tests.stripe_emulator.test_hosted_page import page, press
from tests.stripe_emulator.test_offer import ASKING, POST_OR_COURIER

ADDRESS = {
    "shipping_name": "A Neighbour",
    "line1": "Teststraat 1",
    "postal_code": "1234 AB",
    "city": "Teststad",
    "country": "BE",
}
ANSWERS = {**ADDRESS, "phone": "06 12345678", "terms": "yes"}


@pytest.fixture
def code(client):
    coupon = client.v1.coupons.create({"percent_off": 10})
    promotion = {"type": "coupon", "coupon": coupon.id}
    return client.v1.promotion_codes.create({"promotion": promotion, "code": "TEN"})


@pytest.fixture
def session(sessions, code):
    return sessions.create(
        order(**ASKING, **POST_OR_COURIER, allow_promotion_codes=True)
    )


def second_way(session):
    return session.shipping_options[1].shipping_rate


def test_every_question_has_a_label(session):
    text = page(session.url).text

    shown = re.findall(r'<(?:input|select)(?![^>]*hidden)[^>]* id="([^"]+)"', text)

    assert set(shown) == set(re.findall(r'<label[^>]* for="([^"]+)"', text))
    assert {"phone", "line1", "terms", "shipping-1", "promotion_code"} <= set(shown)


def test_only_the_countries_that_are_shipped_to_are_offered(session):
    text = page(session.url).text

    assert re.findall(r'<option value="([A-Z]+)"', text) == ["BE", "NL"]
    assert '<option value="NL" selected>Netherlands' in text


def test_what_is_asked_for_is_filled_in_but_for_the_terms(session):
    text = page(session.url).text

    assert 'value="Teststraat 1"' in text
    assert 'value="+31612345678"' in text
    assert not re.search(r'id="terms"[^>]* checked', text)


def test_nothing_is_asked_of_a_plain_session(sessions):
    text = page(sessions.create(order()).url).text

    for name in ("phone", "terms", "line1", "promotion_code", "update"):
        assert f'id="{name}"' not in text


def test_the_answers_are_kept(session, sessions):
    assert press(session.url, **ANSWERS).status_code == 303

    paid = sessions.retrieve(session.id)
    shipping = paid.collected_information.shipping_details
    assert (shipping.name, shipping.address.country) == ("A Neighbour", "BE")
    assert paid.customer_details.name == "A Customer"
    assert paid.customer_details.phone == "+31612345678"
    assert paid.consent.terms_of_service == "accepted"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"terms": ""}, "accept the terms"),
        ({"phone": "12"}, "valid phone number"),
        ({"city": ""}, "whole address"),
        ({"country": "DE"}, "does not deliver to this country"),
    ],
)
def test_a_missing_answer_pays_nothing(session, sessions, change, text):
    answer = press(session.url, **ANSWERS | change)

    assert answer.status_code == 400
    assert text in answer.text
    assert sessions.retrieve(session.id).status == "open"


def test_a_missing_answer_leaves_the_others_in_their_fields(session):
    answer = press(session.url, **ANSWERS | {"phone": "", "city": "Gent"})

    assert 'value="Gent"' in answer.text
    assert 'value="A Neighbour"' in answer.text


def test_the_total_follows_the_way_of_shipping(session, sessions):
    shown = press(session.url, "update", shipping=second_way(session))

    assert shown.status_code == 200
    assert "€35.85" in shown.text
    assert sessions.retrieve(session.id).amount_total == 3585


def test_a_code_takes_something_off_the_shown_total(session, sessions):
    shown = press(session.url, "apply", promotion_code=" ten ")

    assert "€28.26" in shown.text
    assert "€2.59" in shown.text
    assert 'id="remove"' in shown.text
    assert sessions.retrieve(session.id).amount_total == 2826


def test_a_code_can_be_removed(session, sessions):
    press(session.url, "apply", promotion_code="TEN")

    shown = press(session.url, "remove")

    assert 'id="promotion_code"' in shown.text
    assert sessions.retrieve(session.id).amount_total == 3085


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"active": False}, "This code is not valid."),
        ({"code": "NOBODY"}, "There is no such code."),
        ({"code": ""}, "There is no such code."),
    ],
)
def test_a_code_that_does_not_work_is_told(client, session, code, change, text):
    if "active" in change:
        client.v1.promotion_codes.update(code.id, {"active": False})

    shown = press(session.url, "apply", promotion_code=change.get("code", "TEN"))

    assert text in shown.text


def test_an_expired_code_is_told(control, sessions, code, client):
    promotion = {"type": "coupon", "coupon": code.promotion.coupon}
    client.v1.promotion_codes.create(
        {"promotion": promotion, "code": "OLD", "expires_at": code.created + 50}
    )
    control("clock", advance=60)
    end = order()["expires_at"] + 60
    session = sessions.create(order(allow_promotion_codes=True, expires_at=end))

    assert "has expired" in press(session.url, "apply", promotion_code="OLD").text


def test_a_used_up_code_is_told_and_taken_away(client, control, sessions, code):
    promotion = {"type": "coupon", "coupon": code.promotion.coupon}
    client.v1.promotion_codes.create(
        {"promotion": promotion, "code": "ONCE", "max_redemptions": 1}
    )
    first, second = (
        sessions.create(order(allow_promotion_codes=True)) for _ in range(2)
    )
    press(second.url, "apply", promotion_code="ONCE")
    control(f"sessions/{first.id}/pay", promotion_code="ONCE")

    shown = press(second.url)

    assert "has been used up" in shown.text
    assert "€25.90" in shown.text
    assert sessions.retrieve(second.id).status == "open"


@pytest.mark.parametrize("choice", ["shipping", "promotion_code"])
def test_nobody_pays_a_total_that_he_has_not_seen(session, sessions, choice):
    chosen = {"shipping": second_way(session), "promotion_code": "TEN"}[choice]

    answer = press(session.url, amount="3085", **ANSWERS, **{choice: chosen})

    assert answer.status_code == 200
    assert "The total has changed" in answer.text
    seen = sessions.retrieve(session.id)
    assert seen.status == "open"
    again = press(session.url, amount=str(seen.amount_total), **ANSWERS)
    assert again.status_code == 303
    assert sessions.retrieve(session.id).amount_total == seen.amount_total


def test_a_free_order_is_confirmed_on_the_page(client, sessions):
    free = client.v1.coupons.create({"percent_off": 100})
    session = sessions.create(order(discounts=[{"coupon": free.id}]))

    assert "Confirm" in page(session.url).text
    assert press(session.url, amount="0").status_code == 303
    assert sessions.retrieve(session.id).payment_status == "no_payment_required"


def test_a_billing_address_may_be_anywhere(sessions):
    session = sessions.create(order(billing_address_collection="required"))

    assert "Billing address" in page(session.url).text
    assert press(session.url, **ADDRESS | {"country": "JP"}).status_code == 303


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (None, ""),
        ({"minimum": None, "maximum": {"unit": "day", "value": 1}}, "1 dag"),
        (
            {
                "minimum": {"unit": "business_day", "value": 2},
                "maximum": {"unit": "business_day", "value": 3},
            },
            "2\N{EN DASH}3 werkdagen",
        ),
        (
            {
                "minimum": {"unit": "day", "value": 5},
                "maximum": {"unit": "week", "value": 2},
            },
            "5 dagen\N{EN DASH}2 weken",
        ),
    ],
)
def test_the_time_of_a_delivery_is_told(estimate, text):
    assert delivery(estimate, "nl") == text
