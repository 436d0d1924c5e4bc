"""What the cart page showed is held against what is so when its button is pressed."""

import re
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.checkout import payment_page
from core.database.engine import Database
from core.payments.offer import ShippingOption
from core.stock.reservations import MOST_LINES
from tests.emulator import EmulatorServer
from tests.factories import add_product, change, levels, open_sessions, sessions_at
from tests.storefront.conftest import token_in
from tests.storefront.test_pages import ENGLISH, post, put_in_cart

pytestmark = pytest.mark.daily_on("sqlite")

SHOWN = re.compile(r'name="(shown\w*)" value="([^"]*)"')


def seen_cart(client: FlaskClient) -> dict[str, list[str]]:
    """Return what the form of the cart page sends."""
    page = client.get("/cart", headers=ENGLISH)
    fields: dict[str, list[str]] = {"csrf_token": [token_in(page)]}
    for name, value in SHOWN.findall(page.text):
        fields.setdefault(name, []).append(value)
    return fields


def check_out(client: FlaskClient, seen: dict[str, list[str]]) -> TestResponse:
    return client.post("/checkout", data=seen, headers=ENGLISH)


def test_a_cart_that_is_as_it_was_seen_is_checked_out(
    client: FlaskClient, database: Database
) -> None:
    mug, bowl = add_product(database), add_product(database)
    put_in_cart(client, mug, 2)
    put_in_cart(client, bowl)

    answer = check_out(client, seen_cart(client))

    assert answer.status_code == 303
    assert levels(database, mug) == (5, 2)


def test_a_price_that_rose_meanwhile_is_shown_before_anything_is_reserved(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, name="Mug", price_cents=1650)
    put_in_cart(client, mug)
    seen = seen_cart(client)
    change(database, mug, price_cents=2650)

    answer = check_out(client, seen)

    assert answer.status_code == 409
    assert "The price was €16.50 and is now €26.50." in answer.text
    assert levels(database, mug) == (5, 0)
    assert sessions_at(stripe) == {}
    assert check_out(client, seen_cart(client)).status_code == 303


def test_a_price_that_rises_after_the_last_look_is_not_asked_for(
    client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mug = add_product(database, name="Mug", price_cents=1650)
    put_in_cart(client, mug)
    seen = seen_cart(client)
    begin = payment_page.begin

    def rise_first(*args: object, **options: object) -> object:
        change(database, mug, price_cents=2650)
        return begin(*args, **options)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(payment_page, "begin", rise_first)

    answer = check_out(client, seen)

    assert answer.status_code == 409
    assert "The price was €16.50 and is now €26.50." in answer.text
    assert levels(database, mug) == (5, 0)
    assert sessions_at(stripe) == {}


def test_what_is_sold_no_more_is_named_and_taken_out(
    client: FlaskClient, database: Database
) -> None:
    mug, bowl = add_product(database, name="Mug"), add_product(database, name="Bowl")
    put_in_cart(client, mug)
    put_in_cart(client, bowl)
    seen = seen_cart(client)
    change(database, bowl, is_listed=False)

    answer = check_out(client, seen)

    assert answer.status_code == 409
    assert re.search("<strong>Bowl</strong> <span>It is not sold any more", answer.text)
    assert levels(database, mug) == (5, 0)
    again = client.get("/cart", headers=ENGLISH).text
    assert "Bowl" not in again
    assert '<span class="count">1</span>' in again


def test_the_cart_says_what_is_sold_no_more_when_it_is_only_looked_at(
    client: FlaskClient, database: Database
) -> None:
    put_in_cart(client, mug := add_product(database, name="Mug"))
    change(database, mug, is_listed=False)

    page = client.get("/cart", headers=ENGLISH).text

    assert re.search("<strong>Mug</strong> <span>It is not sold any more", page)


def test_what_another_tab_changed_is_shown_before_anything_is_reserved(
    client: FlaskClient, database: Database
) -> None:
    mug, bowl = add_product(database, name="Mug"), add_product(database, name="Bowl")
    jug = add_product(database, name="Jug")
    put_in_cart(client, mug, 1)
    put_in_cart(client, bowl)
    seen = seen_cart(client)
    post(client, "/cart/change", product_id=mug, quantity=3)
    post(client, "/cart/change", product_id=bowl, quantity=0)
    put_in_cart(client, jug, 2)

    answer = check_out(client, seen)

    assert answer.status_code == 409
    assert "You had 1 of these in your cart, and now 3." in answer.text
    assert re.search("<strong>Bowl</strong> <span>It is not in your", answer.text)
    assert re.search(
        "<strong>Jug</strong> <span>Added to your cart meanwhile: 2", answer.text
    )
    assert levels(database, mug) == (5, 0)


def test_shipping_that_costs_more_than_was_seen_is_shown_first(
    app: Flask, client: FlaskClient, database: Database
) -> None:
    put_in_cart(client, mug := add_product(database))
    seen = seen_cart(client)
    shop = app.extensions["shop"]
    offer = replace(
        shop.config.offer, shipping_options=(ShippingOption("PostNL", 495),)
    )
    app.extensions["shop"] = replace(shop, config=replace(shop.config, offer=offer))

    answer = check_out(client, seen)

    assert answer.status_code == 409
    assert "The costs have changed" in answer.text
    assert levels(database, mug) == (5, 0)


def test_who_paid_in_another_tab_is_led_to_that_order(
    app: Flask, client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    put_in_cart(client, add_product(database))
    seen = seen_cart(client)
    check_out(client, seen)
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id)
    app.test_client().get(f"/checkout/success?session_id={session_id}")

    answer = check_out(client, seen)

    assert answer.status_code == 303
    assert answer.location.startswith("/orders/")


@pytest.mark.parametrize(
    "shown", ["", "x", "1:1:1", "0:1:1:eur", "9" * 40 + ":1:1:eur", "1:1:1:eur:1"]
)
def test_what_no_page_shows_is_not_compared(
    client: FlaskClient, database: Database, shown: str
) -> None:
    put_in_cart(client, add_product(database))
    token = seen_cart(client)["csrf_token"]

    answer = check_out(client, {"csrf_token": token, "shown": [shown]})

    assert answer.status_code == 303


def test_a_product_for_which_the_cart_has_no_room_is_named(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    mug, bowl = add_product(database, name="Mug"), add_product(database, name="Bowl")
    monkeypatch.setattr("storefront.visit.MOST_LINES", 1)
    put_in_cart(client, mug)

    put_in_cart(client, bowl)
    page = client.get("/cart", headers=ENGLISH).text

    assert "Bowl was not added." in page
    assert f"room for {MOST_LINES} different products" in page
    assert f'id="quantity-{bowl}"' not in page


def test_a_quantity_beyond_what_a_cart_takes_is_told(
    client: FlaskClient, database: Database
) -> None:
    put_in_cart(client, add_product(database), 10_000)

    page = client.get("/cart", headers=ENGLISH).text

    assert "You can order at most 9999 of a product." in page


def test_taking_what_is_left_names_what_went_out(
    client: FlaskClient, database: Database
) -> None:
    put_in_cart(client, add_product(database, name="Mug", stock_units=0))

    post(client, "/cart/take-available")
    page = client.get("/cart", headers=ENGLISH).text

    assert "Taken out of your cart: Mug." in page


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/checkout", "/cart"),
        ("/checkout/", "/cart"),
        ("/cart/add", "/cart"),
        ("/cart/change", "/cart"),
        ("/cart/take-available", "/cart"),
        ("/language", "/"),
    ],
)
def test_the_typed_address_of_a_form_leads_somewhere(
    client: FlaskClient, path: str, target: str
) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.location) == (303, target)


def test_a_form_that_comes_without_a_cookie_says_that_the_shop_needs_one(
    client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    token = token_in(client.get("/cart"))

    answer = other_client.post(
        "/cart/add",
        data={"csrf_token": token, "product_id": mug, "quantity": 1},
        headers=ENGLISH,
    )

    assert answer.status_code == 400
    assert "Your browser sent no cookie" in answer.text
    assert "Your visit was over" not in answer.text
