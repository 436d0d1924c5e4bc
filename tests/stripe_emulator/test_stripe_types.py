import pytest
import stripe
from stripe.params import RefundCreateParams
from stripe.params.checkout import SessionCreateParams, SessionListParams

from stripe_emulator.validation import forms
from stripe_emulator.validation.errors import ApiError
from stripe_emulator.validation.stripe_types import blank, check_answer, check_request

LINE = "line_items[0][price_data]"


def problems(body, params=SessionCreateParams):
    return [str(p) for p in check_request(forms.parse(body), params).problems]


def value(body, params=SessionCreateParams):
    return check_request(forms.parse(body), params).value


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("colour=red", "colour: unknown"),
        (f"{LINE}[currency]=eur&{LINE}[prize]=1", "line_items[0][price_data][prize]"),
        ("payment_method_types[0]=card", "payment_method_types: unknown"),
        ("idempotency_key=k", "idempotency_key: unknown"),
        ("ui_mode=hosted", "ui_mode: enum"),
        ("expires_at=soon", "expires_at: integer soon"),
        ("expires_at=1.5", "expires_at: integer 1.5"),
        ("allow_promotion_codes=yes", "allow_promotion_codes: boolean yes"),
        (f"{LINE}[unit_amount]=5", "line_items[0][price_data][currency]: missing"),
        ("locale=xx", "locale: enum"),
        ("shipping_address_collection[allowed_countries][0]=NLD", "[0]: enum"),
        ("line_items=mug", "line_items: array"),
        ("payment_intent_data=1", "payment_intent_data: object"),
        ("payment_intent_data[expires_after_seconds]=1", "expires_after_seconds]: unk"),
        ("metadata[a][b]=1", "metadata[a]: string"),
        ("success_url=", "success_url: empty"),
    ],
)
def test_a_wrong_parameter_is_found_where_it_is(body, problem):
    assert problem in " / ".join(problems(body))


def test_a_correct_request_has_no_problem():
    body = (
        f"mode=payment&{LINE}[currency]=eur&{LINE}[unit_amount]=1295"
        f"&{LINE}[product_data][name]=Mug&line_items[0][quantity]=2&locale=nl"
        "&metadata[checkout]=7&excluded_payment_method_types[]=sepa_debit"
        "&adaptive_pricing[enabled]=false&expand[]=line_items"
    )

    assert problems(body) == []


def test_strings_become_what_the_types_say():
    found = value("expires_at=12&adaptive_pricing[enabled]=false&metadata[0]=7")

    assert found["expires_at"] == 12
    assert found["adaptive_pricing"] == {"enabled": False}
    assert found["metadata"] == {"0": "7"}


def test_a_list_comes_in_the_order_of_its_numbers():
    body = "&".join(f"expand[{n}]=f{n}" for n in (10, 2, 0))

    assert value(body)["expand"] == ["f0", "f2", "f10"]


def test_a_union_takes_a_number_or_a_range():
    assert problems("created=5", SessionListParams) == []
    assert problems("created[gte]=5", SessionListParams) == []
    assert problems("created=x", SessionListParams) == ["created: integer x"]
    assert "created[gte]" in problems("created[gte]=x", SessionListParams)[0]


def test_an_empty_value_may_take_metadata_away():
    assert problems("metadata=", RefundCreateParams) == []


def test_a_parameter_cannot_be_a_value_and_a_hash():
    with pytest.raises(ApiError):
        forms.parse("metadata=1&metadata[a]=2")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"colour": "red"}, "colour: unknown"),
        ({"reason": "whim"}, "reason: enum"),
        ({"amount": "5"}, "amount: integer"),
        ({"amount": True}, "amount: integer"),
        ({"object": "charge"}, "object: enum"),
    ],
)
def test_a_wrong_answer_is_found(change, problem):
    whole = {"id": "re_1", "object": "refund", "amount": 5, "created": 1}
    refund = blank(stripe.Refund) | whole | {"currency": "eur"}

    assert check_answer(refund, stripe.Refund) == []
    assert problem in " / ".join(check_answer(refund | change, stripe.Refund))


def test_an_answer_without_a_required_field_is_found():
    assert "id: missing" in check_answer({"object": "refund"}, stripe.Refund)
