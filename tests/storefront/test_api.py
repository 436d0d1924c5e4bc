import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.clock import utcnow
from core.database.engine import Database
from core.models.checkout import Checkout
from tests.emulator import EmulatorServer
from tests.factories import add_product, levels, open_sessions
from tests.storefront.conftest import json_of


def check_out(client: FlaskClient, *lines: tuple[int, Any]) -> Any:
    items = [{"product_id": key, "quantity": quantity} for key, quantity in lines]
    return client.post("/api/checkout", json={"items": items})


def checkouts_in(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(func.count(Checkout.id))).one()


def test_products_are_listed_with_what_is_available(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=5, price_cents=1250, name="Mug")
    check_out(client, (mug, 2))

    answer = client.get("/api/products")

    (product,) = json_of(answer)["products"]
    assert product["id"] == mug
    assert product["name"] == "Mug"
    assert product["price_cents"] == 1250
    assert product["currency"] == "eur"
    assert product["available"] == 3
    assert "sku" in product


def test_a_checkout_answers_with_its_payment_page_and_deadline(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)

    answer = check_out(client, (mug, 2))

    assert answer.status_code == 201
    assert json_of(answer)["stripe_session_id"] in open_sessions(stripe)
    assert json_of(answer)["url"].startswith(stripe.url)
    assert isinstance(json_of(answer)["checkout_id"], int)
    deadline = datetime.fromisoformat(json_of(answer)["expires_at"])
    assert abs(deadline - utcnow() - timedelta(minutes=15)) < timedelta(minutes=1)
    assert levels(database, mug) == (5, 2)


def test_the_same_product_on_two_lines_is_one_claim(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=5)

    refused = check_out(client, (mug, 3), (mug, 3))
    taken = check_out(client, (mug, 2), (mug, 3))

    assert refused.status_code == 409
    assert taken.status_code == 201
    assert levels(database, mug) == (5, 5)


def test_a_shortage_names_every_short_line_and_what_is_left(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=1)
    bowl = add_product(database, stock_units=0)

    answer = check_out(client, (mug, 2), (bowl, 1))

    assert answer.status_code == 409
    assert answer.mimetype == "application/problem+json"
    assert json_of(answer)["shortages"] == [
        {"product_id": mug, "requested": 2, "available": 1},
        {"product_id": bowl, "requested": 1, "available": 0},
    ]
    assert levels(database, mug) == (1, 0)


BAD_BODIES = {
    "not JSON": (b"{", 400),
    "nothing": (b"", 400),
    "not UTF-8": (b'{"items": "\xff"}', 400),
    "nested too deep": (b"[" * 100_000, 400),
    "a number of too many digits": (b"9" * 5000, 400),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "a number": (b"7", 422),
    "no items": (b"{}", 422),
    "items that are no list": (b'{"items": {"product_id": 1}}', 422),
    "empty items": (b'{"items": []}', 422),
    "an item that is a number": (b'{"items": [1]}', 422),
    "an item within an item": (b'{"items": [[{"product_id": 1}]]}', 422),
    "an item without a product": (b'{"items": [{"quantity": 1}]}', 422),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_malformed_body_is_refused_and_reserves_nothing(
    client: FlaskClient, database: Database, name: str
) -> None:
    body, status = BAD_BODIES[name]
    add_product(database)

    answer = client.post("/api/checkout", data=body, content_type="application/json")

    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert json_of(answer)["status"] == status
    assert checkouts_in(database) == 0


@pytest.mark.parametrize(
    "quantity",
    [0, -1, 1.5, 1.0, "1", "", None, True, [], {}, 10**9, 10**30, -(10**30), 1e308],
)
def test_a_quantity_that_is_no_number_of_units_reserves_nothing(
    client: FlaskClient, database: Database, quantity: Any
) -> None:
    mug = add_product(database)

    answer = check_out(client, (mug, quantity))

    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert levels(database, mug) == (5, 0)
    assert checkouts_in(database) == 0


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_reserves_nothing(
    client: FlaskClient, database: Database, quantity: str
) -> None:
    mug = add_product(database)
    body = f'{{"items": [{{"product_id": {mug}, "quantity": {quantity}}}]}}'

    answer = client.post("/api/checkout", data=body, content_type="application/json")

    assert answer.status_code in (400, 422)
    assert levels(database, mug) == (5, 0)


@pytest.mark.parametrize(
    "product_id", [0, -1, 999, 2**63, 10**30, 1.0, "1", None, True, [1], {}]
)
def test_an_unknown_product_is_refused(
    client: FlaskClient, database: Database, product_id: Any
) -> None:
    add_product(database)

    answer = check_out(client, (product_id, 1))

    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert checkouts_in(database) == 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", ""]
)
def test_another_content_type_is_refused(
    client: FlaskClient, database: Database, content_type: str
) -> None:
    mug = add_product(database)
    body = json.dumps({"items": [{"product_id": mug, "quantity": 1}]})

    answer = client.post("/api/checkout", data=body, content_type=content_type)

    assert answer.status_code == 415
    assert answer.mimetype == "application/problem+json"
    assert levels(database, mug) == (5, 0)


def test_a_body_that_is_too_large_is_refused(
    client: FlaskClient, database: Database
) -> None:
    body = json.dumps({"items": [], "filler": "x" * 300_000})

    answer = client.post("/api/checkout", data=body, content_type="application/json")

    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"


def test_more_products_than_stripe_takes_are_refused(
    client: FlaskClient, database: Database
) -> None:
    answer = check_out(client, *((number, 1) for number in range(1, 102)))

    assert answer.status_code == 422


def test_what_does_not_exist_is_a_problem_in_the_api(client: FlaskClient) -> None:
    missing = client.get("/api/nothing")
    wrong_method = client.get("/api/checkout")

    assert (missing.status_code, missing.mimetype) == (404, "application/problem+json")
    assert wrong_method.status_code == 405
    assert wrong_method.mimetype == "application/problem+json"
    assert "POST" in wrong_method.headers["Allow"]


def test_stripe_out_of_reach_is_a_503_that_keeps_the_units(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    stripe.fault("create", "error_after", times=0)

    answer = check_out(client, (mug, 1))

    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert "Retry-After" in answer.headers
    assert levels(database, mug) == (5, 1)


def test_a_refusal_by_stripe_is_a_503_that_frees_the_units(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    stripe.fault("create", "status", status=400, times=0)

    answer = check_out(client, (mug, 1))

    assert answer.status_code == 503
    assert levels(database, mug) == (5, 0)


def test_a_call_without_a_cookie_is_a_visitor_of_its_own(
    client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)

    first = check_out(client, (mug, 1))
    second = check_out(other_client, (mug, 1))
    again = check_out(client, (mug, 2))

    assert [each.status_code for each in (first, second, again)] == [201, 201, 201]
    assert levels(database, mug) == (5, 3)


def test_problems_speak_the_callers_language(
    client: FlaskClient, database: Database
) -> None:
    def detail(language: str) -> str:
        answer = client.post(
            "/api/checkout", json={"items": []}, headers={"Accept-Language": language}
        )
        return str(json_of(answer)["detail"])

    assert detail("en") == "There is nothing in the cart."
    assert detail("nl") != detail("en")


def test_what_is_neither_json_nor_called_so_is_no_json(client: FlaskClient) -> None:
    answer = client.post("/api/checkout", data=b"not json")

    assert answer.status_code == 400


def test_a_price_that_the_caller_names_must_be_the_one_that_is_asked(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, price_cents=2650)

    def at(cents: object) -> Any:
        item = {"product_id": mug, "quantity": 1, "unit_price_cents": cents}
        return client.post("/api/checkout", json={"items": [item]})

    refused = at(1650)

    assert refused.status_code == 409
    assert json_of(refused)["price_changes"] == [
        {
            "product_id": mug,
            "seen_cents": 1650,
            "price_cents": 2650,
            "currency": "eur",
        }
    ]
    assert "shortages" not in json_of(refused)
    assert levels(database, mug) == (5, 0)
    assert at(2650).status_code == 201


@pytest.mark.parametrize("prices", [["1650"], [-1], [True], [16.5], [1650, 1651]])
def test_a_strange_price_is_refused(
    client: FlaskClient, database: Database, prices: list[object]
) -> None:
    mug = add_product(database, price_cents=1650)
    items = [
        {"product_id": mug, "quantity": 1, "unit_price_cents": price}
        for price in prices
    ]

    answer = client.post("/api/checkout", json={"items": items})

    assert answer.status_code == 422
    assert levels(database, mug) == (5, 0)
