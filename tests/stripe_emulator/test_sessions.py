import threading
import time

import pytest
import stripe

from stripe_emulator.validation.stripe_types import check_answer
from tests.stripe_emulator.conftest import as_json, order


def line(**changes):
    mug = {"currency": "eur", "unit_amount": 1295, "product_data": {"name": "Mug"}}
    return {"price_data": mug | changes, "quantity": 1}


def refused(sessions, params):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sessions.create(params)
    return caught.value


def test_a_session_has_the_complete_shape(sessions):
    session = sessions.create(order(metadata={"checkout": "7"}))

    assert check_answer(as_json(session), stripe.checkout.Session) == []
    assert session.id.startswith("cs_test_")
    assert len(session.id) >= 58
    assert (session.status, session.payment_status) == ("open", "unpaid")
    assert (session.amount_total, session.currency) == (2590, "eur")
    assert session.url.endswith(f"/c/pay/{session.id}")
    assert session.payment_intent is None
    assert session.metadata["checkout"] == "7"


def test_a_session_without_an_end_lasts_a_day(sessions):
    params = order()
    del params["expires_at"]

    session = sessions.create(params)

    assert session.expires_at - session.created == 86_400


@pytest.mark.parametrize("name", ["mode", "line_items", "success_url"])
def test_create_demands(sessions, name):
    params = order()
    del params[name]

    error = refused(sessions, params)

    assert error.code == "parameter_missing"
    assert error.param == name
    assert error.user_message == f"Missing required param: {name}."


def test_an_unknown_parameter_is_refused_at_any_depth(sessions):
    error = refused(sessions, order(payment_intent_data={"expires_after_seconds": 9}))

    assert error.code == "parameter_unknown"
    assert error.param == "payment_intent_data[expires_after_seconds]"


def test_payment_method_types_are_gone_from_this_version(sessions):
    error = refused(sessions, order(payment_method_types=["card"]))

    assert error.param == "payment_method_types"


def test_an_older_version_may_still_name_payment_method_types(sessions):
    options = {"stripe_version": "2025-01-27.acacia"}

    session = sessions.create(order(payment_method_types=["card"]), options)

    assert session.payment_method_types == ["card"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (15 * 60, "at least 30 minutes from Checkout Session creation."),
        (30 * 60 - 1, "at least 30 minutes from Checkout Session creation."),
        (24 * 3600 + 60, "less than 24 hours from Checkout Session creation."),
    ],
)
def test_the_end_lies_half_an_hour_to_a_day_ahead(sessions, seconds, text):
    error = refused(sessions, order(expires_at=int(time.time()) + seconds))

    assert error.user_message == f"The `expires_at` timestamp must be {text}"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"line_items": [line(currency="xyz")]}, "line_items[0][price_data][currency]"),
        (
            {"line_items": [line(unit_amount=-1)]},
            "line_items[0][price_data][unit_amount]",
        ),
        ({"line_items": [line() | {"quantity": 0}]}, "line_items[0][quantity]"),
        ({"line_items": [{"price": "price_1", "quantity": 1}]}, "line_items[0][price]"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0]"),
        ({"line_items": [line()] * 101}, "line_items"),
        ({"line_items": [line(), line(currency="usd")]}, "line_items"),
        ({"success_url": "/thanks"}, "success_url"),
        ({"cancel_url": "http://a/" + "x" * 5000}, "cancel_url"),
        ({"client_reference_id": "x" * 201}, "client_reference_id"),
        ({"customer_email": "nobody"}, "customer_email"),
        ({"customer": "cus_1"}, "customer"),
        ({"discounts": [{"coupon": "TEN"}]}, "discounts[0][coupon]"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, "metadata"),
        ({"metadata": {"k" * 41: "v"}}, "metadata[" + "k" * 41 + "]"),
        ({"metadata": {"k": "v" * 501}}, "metadata[k]"),
        ({"locale": "xx"}, "locale"),
        ({"ui_mode": "embedded"}, "ui_mode"),
        ({"mode": "subscription"}, "mode"),
        ({"after_expiration": {"recovery": {"enabled": True}}}, "after_expiration"),
    ],
)
def test_what_stripe_refuses_is_refused(sessions, changes, param):
    error = refused(sessions, order(**changes))

    assert error.http_status == 400
    assert error.param == param


def test_a_refused_create_makes_nothing(sessions):
    refused(sessions, order(locale="xx"))

    assert sessions.list().data == []


def test_a_fraction_of_a_cent_is_rounded_once_a_line(sessions):
    price = {"currency": "eur", "unit_amount_decimal": "10.25"}
    lines = [{"price_data": price | {"product_data": {"name": "Nail"}}, "quantity": 2}]

    assert sessions.create(order(line_items=lines)).amount_total == 21


def test_retrieve_expands_lines_and_payment(sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay")

    paths = ["line_items", "payment_intent.latest_charge"]
    found = sessions.retrieve(session.id, {"expand": paths})

    assert check_answer(as_json(found), stripe.checkout.Session) == []
    assert found.line_items.data[0].description == "Mug"
    assert found.line_items.data[0].price.unit_amount == 1295
    assert found.payment_intent.latest_charge.amount == 2590


def test_an_answer_without_expand_has_ids(sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay")

    found = sessions.retrieve(session.id)

    assert found.payment_intent.startswith("pi_")
    assert "line_items" not in found


def test_a_field_that_cannot_be_expanded_is_refused(sessions):
    session = sessions.create(order())

    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        sessions.retrieve(session.id, {"expand": ["status"]})


def test_a_create_with_a_wrong_expand_makes_nothing(sessions):
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        sessions.create(order(expand=["status"]))

    assert sessions.list().data == []


def test_line_items_come_in_pages(sessions):
    session = sessions.create(order(line_items=[line()] * 3))

    first = sessions.line_items.list(session.id, {"limit": 2})
    after = first.data[-1].id
    rest = sessions.line_items.list(session.id, {"starting_after": after})

    assert check_answer(as_json(first.data[0]), stripe.LineItem) == []
    assert (len(first.data), first.has_more) == (2, True)
    assert (len(rest.data), rest.has_more) == (1, False)


def test_an_unknown_session_is_a_404(sessions):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sessions.retrieve("cs_test_nobody")

    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_lists_go_back_in_time(sessions):
    ids = [sessions.create(order()).id for _ in range(3)]

    page = sessions.list({"limit": 2})
    rest = sessions.list({"limit": 2, "starting_after": page.data[-1].id})
    back = sessions.list({"ending_before": rest.data[0].id})

    assert [s.id for s in page.data] == [ids[2], ids[1]]
    assert page.has_more
    assert [s.id for s in rest.data] == [ids[0]]
    assert not rest.has_more
    assert [s.id for s in back.data] == [ids[2], ids[1]]
    assert [s.id for s in page.auto_paging_iter()] == ids[::-1]


def test_lists_are_filtered(sessions, control):
    paid = sessions.create(order(customer_email="a@example.com"))
    left = sessions.create(order(customer_email="b@example.com"))
    control(f"sessions/{paid.id}/pay", payer={"email": "a@example.com"})
    intent = sessions.retrieve(paid.id).payment_intent

    def ids(**params):
        return [session.id for session in sessions.list(params).data]

    assert ids(status="open") == [left.id]
    assert ids(status="complete") == [paid.id]
    assert ids(payment_intent=intent) == [paid.id]
    assert ids(customer_details={"email": "a@example.com"}) == [paid.id]
    assert ids(created={"gte": paid.created}) == [left.id, paid.id]
    assert ids(created={"gt": left.created}) == []


@pytest.mark.parametrize(
    "params", [{"limit": 101}, {"limit": 0}, {"starting_after": "cs_x"}]
)
def test_a_list_refuses_an_impossible_page(sessions, params):
    with pytest.raises(stripe.InvalidRequestError):
        sessions.list(params)


def test_update_merges_metadata(sessions):
    session = sessions.create(order(metadata={"a": "1", "b": "2"}))

    changed = sessions.update(session.id, {"metadata": {"b": "", "c": "3"}})

    assert as_json(changed)["metadata"] == {"a": "1", "c": "3"}


def test_an_expired_session_is_closed(sessions):
    session = sessions.expire(sessions.create(order()).id)

    assert check_answer(as_json(session), stripe.checkout.Session) == []
    assert (session.status, session.payment_status) == ("expired", "unpaid")
    assert session.url is None


@pytest.mark.parametrize("status", ["complete", "expired"])
def test_only_an_open_session_can_be_expired(sessions, control, status):
    session = sessions.create(order())
    if status == "complete":
        control(f"sessions/{session.id}/pay")
    else:
        sessions.expire(session.id)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        sessions.expire(session.id)

    assert caught.value.user_message == (
        'Only Checkout Sessions with a status in ["open"] can be expired. '
        f"This Checkout Session has a status of `{status}`."
    )


def test_a_session_ends_by_itself(sessions, shop, control):
    session = sessions.create(order())

    control("clock", advance=2001)

    assert sessions.retrieve(session.id).status == "expired"
    assert shop.wait_for("checkout.session.expired")


def test_a_session_ends_without_anybody_asking(emulator, sessions, shop):
    session = sessions.create(order())
    emulator.clock.advance(2001)

    event = shop.wait_for("checkout.session.expired")[0]

    assert event["data"]["object"]["id"] == session.id
    assert event["request"] == {"id": None, "idempotency_key": None}


def test_two_hundred_creates_at_once_are_all_answered(emulator, url, sessions):
    threads = [
        threading.Thread(target=sessions.create, args=(order(),)) for _ in range(200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(emulator.account.tables["sessions"]) == 200
