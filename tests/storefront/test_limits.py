from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.config import Config, Limits
from core.database.engine import Database
from storefront import create_app
from storefront.extensions import db
from tests.factories import add_product, levels

Open = Callable[..., Flask]


@pytest.fixture
def open_shop(config: Config, database: Database) -> Iterator[Open]:
    """Give what makes the application of a shop with these limits."""
    made: list[Flask] = []

    def make(**limits: Any) -> Flask:
        app = create_app(replace(config, limits=Limits(**limits)))
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


def check_out(app: Flask, items: Any, *, address: str = "192.0.2.1") -> TestResponse:
    """Check out as somebody new, without a cookie, from *address*."""
    return app.test_client().post(
        "/api/checkout", json={"items": items}, environ_base={"REMOTE_ADDR": address}
    )


def line(product_id: int, quantity: int = 1) -> dict[str, int]:
    return {"product_id": product_id, "quantity": quantity}


def assert_problem(response: TestResponse, status: int) -> None:
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert response.json
    assert response.json["status"] == status
    assert response.json["title"]
    assert response.json["detail"]


def test_one_checkout_too_many_in_a_minute_is_refused(
    open_shop: Open, database: Database
) -> None:
    mug = add_product(database)
    app = open_shop(checkouts_per_minute=2)

    answers = [check_out(app, [line(mug)]) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert_problem(answers[2], 429)
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert levels(database, mug) == (5, 2)


def test_each_address_is_counted_by_itself(open_shop: Open, database: Database) -> None:
    mug = add_product(database)
    app = open_shop(checkouts_per_minute=1)

    answers = [
        check_out(app, [line(mug)], address=address)
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 429]


def test_without_a_limit_nothing_is_counted(
    open_shop: Open, database: Database
) -> None:
    app = open_shop(checkouts_per_minute=0)

    # An empty cart is refused each time: what is counted is the request.
    answers = {check_out(app, []).status_code for _ in range(40)}

    assert answers == {422}


def test_pages_and_products_are_not_counted(
    open_shop: Open, database: Database
) -> None:
    app = open_shop(checkouts_per_minute=1)
    client = app.test_client()

    answers = {client.get("/api/products").status_code for _ in range(3)}

    assert answers == {200}


def test_an_address_holds_as_many_checkouts_as_it_may(
    open_shop: Open, database: Database
) -> None:
    mug = add_product(database)
    app = open_shop(holds_per_address=2, checkouts_per_minute=0)

    answers = [check_out(app, [line(mug)]) for _ in range(3)]
    elsewhere = check_out(app, [line(mug)], address="192.0.2.2")

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert_problem(answers[2], 429)
    assert int(answers[2].headers["Retry-After"]) > 0
    assert elsewhere.status_code == 201
    assert levels(database, mug) == (5, 3)


def test_a_visitor_with_a_hold_may_replace_it(
    open_shop: Open, database: Database
) -> None:
    mug = add_product(database)
    app = open_shop(holds_per_visitor=1, holds_per_address=1, checkouts_per_minute=0)
    client = app.test_client()

    answers = [
        client.post("/api/checkout", json={"items": [line(mug, quantity)]})
        for quantity in (1, 3)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert levels(database, mug) == (5, 3)


def test_more_of_a_product_than_one_may_order_is_refused(
    open_shop: Open, database: Database
) -> None:
    mug = add_product(database)
    app = open_shop(quantity_per_product=2, checkouts_per_minute=0)

    response = check_out(app, [line(mug, 3)])

    assert_problem(response, 422)
    assert response.json
    assert response.json["product_id"] == mug
    assert "2" in response.json["detail"]
    assert levels(database, mug) == (5, 0)


def test_two_lines_of_one_product_count_together(
    open_shop: Open, database: Database
) -> None:
    mug = add_product(database)
    app = open_shop(quantity_per_product=2, checkouts_per_minute=0)

    too_many = check_out(app, [line(mug, 2), line(mug, 1)])
    just_right = check_out(app, [line(mug, 1), line(mug, 1)])

    assert (too_many.status_code, just_right.status_code) == (422, 201)
    assert levels(database, mug) == (5, 2)


def test_a_page_says_kindly_that_it_was_too_often(
    open_shop: Open, database: Database
) -> None:
    app = open_shop(checkouts_per_minute=1)
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()

    answers = [
        client.post("/checkout", headers={"Accept-Language": "en"}) for _ in range(2)
    ]

    assert answers[1].status_code == 429
    assert answers[1].mimetype == "text/html"
    assert int(answers[1].headers["Retry-After"]) > 0
