import time

import pytest
import requests
import stripe

from stripe_emulator.validation.stripe_types import check_answer
from tests.stripe_emulator.conftest import as_json, order

DAY = 86_400


@pytest.fixture
def coupon(client):
    return client.v1.coupons.create({"percent_off": 10})


@pytest.fixture
def coded(client, coupon):
    """`coded("TEN", max_redemptions=1)`: a code for ten per cent off."""

    def make(code="TEN", coupon=coupon, **params):
        promotion = {"type": "coupon", "coupon": coupon.id}
        given = {"promotion": promotion, "code": code, **params}
        return client.v1.promotion_codes.create(given)

    return make


@pytest.fixture
def open_to_codes(sessions):
    return sessions.create(order(allow_promotion_codes=True))


def refused(call, params):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(params)
    return caught.value


def told(control, session, code):
    """What the emulator says of a code that it refuses."""
    with pytest.raises(requests.HTTPError) as caught:
        control(f"sessions/{session.id}/pay", promotion_code=code)
    return caught.value.response.json()["error"]["message"]


def test_coupons_and_codes_have_the_complete_shape(client, coupon, coded):
    code = coded(metadata={"a": "1"})

    assert check_answer(as_json(coupon), stripe.Coupon) == []
    assert check_answer(as_json(code), stripe.PromotionCode) == []
    assert (coupon.valid, coupon.times_redeemed) == (True, 0)
    assert (code.code, code.active) == ("TEN", True)
    assert code.promotion.coupon == coupon.id
    expanded = client.v1.promotion_codes.retrieve(
        code.id, {"expand": ["promotion.coupon"]}
    )
    assert expanded.promotion.coupon.percent_off == 10


def test_a_code_takes_something_off(client, sessions, control, coded, open_to_codes):
    code = coded()
    control(f"sessions/{open_to_codes.id}/pay", promotion_code="ten")

    expand = ["discounts.promotion_code", "total_details.breakdown", "line_items"]
    paid = sessions.retrieve(open_to_codes.id, {"expand": expand})

    assert check_answer(as_json(paid), stripe.checkout.Session) == []
    assert (paid.amount_subtotal, paid.amount_total) == (2590, 2331)
    assert paid.total_details.amount_discount == 259
    assert paid.discounts[0].promotion_code.code == "TEN"
    (row,) = paid.total_details.breakdown.discounts
    assert (row.amount, row.discount.promotion_code) == (259, code.id)
    assert paid.line_items.data[0].amount_discount == 259
    intent = client.v1.payment_intents.retrieve(paid.payment_intent)
    assert intent.amount_received == 2331


def test_the_parts_of_a_discount_add_up(client, sessions):
    off = client.v1.coupons.create({"amount_off": 100, "currency": "eur"})
    data = {"currency": "eur", "unit_amount": 333, "product_data": {"name": "Mug"}}
    lines = [{"price_data": data, "quantity": 1}] * 3

    session = sessions.create(order(line_items=lines, discounts=[{"coupon": off.id}]))

    rows = sessions.line_items.list(session.id).data
    assert sum(row.amount_discount for row in rows) == 100
    assert sum(row.amount_total for row in rows) == session.amount_total == 899


def test_a_discount_leaves_shipping_alone(client, sessions):
    all_off = client.v1.coupons.create({"percent_off": 100})
    amount = {"amount": 495, "currency": "eur"}
    data = {"display_name": "Post", "type": "fixed_amount", "fixed_amount": amount}

    session = sessions.create(
        order(
            discounts=[{"coupon": all_off.id}],
            shipping_options=[{"shipping_rate_data": data}],
        )
    )

    assert (session.amount_total, session.payment_status) == (495, "unpaid")


def test_an_order_that_a_code_makes_free_asks_for_no_payment(
    client, sessions, control, coded, open_to_codes
):
    coded("FREE", client.v1.coupons.create({"percent_off": 100}))
    control(f"sessions/{open_to_codes.id}/pay", method="decline")
    control(f"sessions/{open_to_codes.id}/pay", promotion_code="FREE")

    paid = sessions.retrieve(open_to_codes.id)

    assert (paid.amount_total, paid.payment_status) == (0, "no_payment_required")
    assert (paid.status, paid.payment_intent) == ("complete", None)
    assert client.v1.payment_intents.list().data[0].status == "canceled"


def test_an_amount_off_is_never_more_than_the_goods_cost(client, sessions):
    off = client.v1.coupons.create({"amount_off": 9999, "currency": "eur"})

    session = sessions.create(order(discounts=[{"coupon": off.id}]))

    assert (session.amount_total, session.total_details.amount_discount) == (0, 2590)


def test_the_shop_itself_can_give_a_discount(sessions, coupon, coded):
    by_coupon = sessions.create(order(discounts=[{"coupon": coupon.id}]))
    code = coded()
    by_code = sessions.create(order(discounts=[{"promotion_code": code.id}]))

    assert by_coupon.amount_total == by_code.amount_total == 2331
    assert by_coupon.discounts[0].coupon == coupon.id
    assert by_code.discounts[0].promotion_code == code.id


@pytest.mark.parametrize("switch", [True, False])
def test_codes_and_a_discount_exclude_each_other(sessions, coupon, switch):
    discounts = [{"coupon": coupon.id}]
    params = order(allow_promotion_codes=switch, discounts=discounts)

    error = refused(sessions.create, params)

    assert error.user_message == (
        "You may only specify one of these parameters: allow_promotion_codes, "
        "discounts."
    )


@pytest.mark.parametrize(
    ("discounts", "param"),
    [
        ([{"coupon": "NOBODY"}], "discounts[0][coupon]"),
        ([{"promotion_code": "promo_x"}], "discounts[0][promotion_code]"),
        ([{"coupon": "A"}, {"coupon": "B"}], "discounts"),
        ([{"coupon": "A", "promotion_code": "B"}], "discounts[0][coupon]"),
    ],
)
def test_a_discount_that_cannot_be_is_refused(sessions, discounts, param):
    assert refused(sessions.create, order(discounts=discounts)).param == param
    assert sessions.list().data == []


def test_a_use_is_counted_when_the_session_completes(
    client, control, coupon, coded, open_to_codes
):
    code = coded()
    control(f"sessions/{open_to_codes.id}/pay", promotion_code="TEN", method="decline")
    assert client.v1.promotion_codes.retrieve(code.id).times_redeemed == 0

    control(f"sessions/{open_to_codes.id}/pay")

    assert client.v1.promotion_codes.retrieve(code.id).times_redeemed == 1
    assert client.v1.coupons.retrieve(coupon.id).times_redeemed == 1


def test_of_two_customers_the_first_to_pay_has_the_last_use(
    client, sessions, control, coded
):
    code = coded(max_redemptions=1)
    first, second = (
        sessions.create(order(allow_promotion_codes=True)) for _ in range(2)
    )
    control(f"sessions/{second.id}/pay", promotion_code="TEN", method="decline")
    control(f"sessions/{first.id}/pay", promotion_code="TEN")

    with pytest.raises(requests.HTTPError, match="400"):
        control(f"sessions/{second.id}/pay")

    left = sessions.retrieve(second.id)
    assert (left.status, left.amount_total) == ("open", 2590)
    assert not client.v1.promotion_codes.retrieve(code.id).active


def test_a_coupon_of_a_few_uses_ends_its_codes(client, sessions, control, coded):
    coupon = client.v1.coupons.create({"percent_off": 5, "max_redemptions": 1})
    code = coded("FIVE", coupon)
    session = sessions.create(order(allow_promotion_codes=True))
    control(f"sessions/{session.id}/pay", promotion_code="FIVE")

    assert not client.v1.coupons.retrieve(coupon.id).valid
    assert not client.v1.promotion_codes.retrieve(code.id).active
    other = sessions.create(order(allow_promotion_codes=True))
    assert "used up" in told(control, other, "FIVE")


def test_a_code_ends_with_its_time(client, control, coded, open_to_codes):
    code = coded(expires_at=int(time.time()) + 100)
    control("clock", advance=101)

    assert "expired" in told(control, open_to_codes, "TEN")
    assert not client.v1.promotion_codes.retrieve(code.id).active
    assert client.v1.promotion_codes.list({"active": True}).data == []


def test_a_code_can_ask_for_a_larger_order(control, coded, open_to_codes):
    least = {"minimum_amount": 2591, "minimum_amount_currency": "eur"}
    coded(restrictions=least)

    assert "larger order" in told(control, open_to_codes, "TEN")


def test_a_code_for_another_currency_is_refused(client, control, coded, open_to_codes):
    coded("USD", client.v1.coupons.create({"amount_off": 5, "currency": "usd"}))

    assert "another currency" in told(control, open_to_codes, "USD")


def test_a_code_that_nobody_made_is_refused(control, open_to_codes):
    assert "invalid" in told(control, open_to_codes, "NOBODY")


def test_without_leave_no_code_is_taken(sessions, control, coded):
    coded()

    session = sessions.create(order())

    assert "cannot be used for this session" in told(control, session, "TEN")


def test_a_code_is_switched_off_and_on(client, control, coded, open_to_codes):
    code = coded(metadata={"a": "1", "b": "2"})
    params = {"active": False, "metadata": {"a": ""}}
    off = client.v1.promotion_codes.update(code.id, params)

    assert (off.active, as_json(off)["metadata"]) == (False, {"b": "2"})
    assert "invalid" in told(control, open_to_codes, "TEN")
    assert client.v1.promotion_codes.update(code.id, {"active": True}).active


def test_a_code_that_is_over_cannot_be_switched_on(client, control, coded):
    code = coded(expires_at=int(time.time()) + 100)
    control("clock", advance=101)

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.promotion_codes.update(code.id, {"active": True})


def test_a_deleted_coupon_ends_its_codes(client, coupon, coded, shop):
    code = coded()

    gone = client.v1.coupons.delete(coupon.id)

    assert gone.deleted
    assert not client.v1.promotion_codes.retrieve(code.id).active
    assert shop.wait_for("coupon.deleted")
    with pytest.raises(stripe.InvalidRequestError, match="No such coupon"):
        client.v1.coupons.retrieve(coupon.id)


def test_coupons_and_codes_are_listed(client, coupon, coded):
    ten, two = coded(), coded("TWO")

    def ids(**params):
        return [row.id for row in client.v1.promotion_codes.list(params).data]

    assert ids() == [two.id, ten.id]
    assert ids(code="ten") == [ten.id]
    assert ids(coupon=coupon.id) == [two.id, ten.id]
    assert [row.id for row in client.v1.coupons.list().data] == [coupon.id]


def test_a_code_can_be_left_to_stripe(client, coupon):
    params = {"promotion": {"type": "coupon", "coupon": coupon.id}}

    code = client.v1.promotion_codes.create(params)

    assert len(code.code) == 8


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "percent_off"),
        ({"percent_off": 10, "amount_off": 5}, "percent_off"),
        ({"percent_off": 0}, "percent_off"),
        ({"percent_off": 101}, "percent_off"),
        ({"amount_off": 5}, "currency"),
        ({"amount_off": 0, "currency": "eur"}, "amount_off"),
        ({"amount_off": 5, "currency": "xxx"}, "currency"),
        ({"percent_off": 5, "duration": "repeating"}, "duration_in_months"),
        ({"percent_off": 5, "duration_in_months": 2}, "duration_in_months"),
        ({"percent_off": 5, "max_redemptions": 0}, "max_redemptions"),
        ({"percent_off": 5, "redeem_by": 5}, "redeem_by"),
        ({"percent_off": 5, "name": "x" * 41}, "name"),
        ({"percent_off": 5, "applies_to": {"products": ["prod_x"]}}, "applies_to"),
    ],
)
def test_a_coupon_that_cannot_be_is_refused(client, params, param):
    assert refused(client.v1.coupons.create, params).param == param


def test_an_id_is_one_coupon(client):
    client.v1.coupons.create({"id": "WELCOME", "percent_off": 5})

    error = refused(client.v1.coupons.create, {"id": "WELCOME", "percent_off": 9})

    assert error.code == "resource_already_exists"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"code": "TEN"}, "code"),
        ({"code": "ten"}, "code"),
        ({"code": "T N"}, "code"),
        ({"code": "A", "max_redemptions": 0}, "max_redemptions"),
        ({"code": "A", "expires_at": 5}, "expires_at"),
        ({"code": "A", "customer": "cus_x"}, "customer"),
        ({"code": "A", "coupon": "x"}, "coupon"),
        (
            {"code": "A", "restrictions": {"minimum_amount": 5}},
            "restrictions[minimum_amount_currency]",
        ),
        (
            {"code": "A", "restrictions": {"first_time_transaction": True}},
            "restrictions[first_time_transaction]",
        ),
        (
            {"code": "A", "promotion": {"type": "coupon", "coupon": "NOBODY"}},
            "promotion[coupon]",
        ),
        ({"code": "A", "promotion": {"type": "coupon"}}, "promotion[coupon]"),
    ],
)
def test_a_code_that_cannot_be_is_refused(client, coupon, coded, params, param):
    coded()
    promotion = {"promotion": {"type": "coupon", "coupon": coupon.id}}

    error = refused(client.v1.promotion_codes.create, promotion | params)

    assert error.param == param
