"""Who holds units sees it on every page, and is not told that others hold them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from core.database.engine import Database
from storefront.extensions import db
from tests.emulator import EmulatorServer
from tests.factories import add_product, levels, open_sessions
from tests.storefront.conftest import token_in
from tests.storefront.test_pages import ENGLISH, post, put_in_cart

pytestmark = pytest.mark.daily_on("sqlite")

BAR = re.compile('<aside class="hold".*?</aside>', re.DOTALL)


def bar_on(client: FlaskClient, path: str) -> str:
    """Return the words of the bar on a page; "" without one."""
    found = BAR.search(client.get(path, headers=ENGLISH).text)
    return " ".join(re.sub("<[^>]*>", " ", found[0]).split()) if found else ""


def slug(client: FlaskClient, number: int = 1) -> str:
    return client.get("/").text.split('href="/products/')[number].split('"', 1)[0]


@contextmanager
def statements_of(app: Flask) -> Iterator[list[str]]:
    with app.app_context():
        engine = db.engine
    made: list[str] = []

    def note(*told: object) -> None:
        made.append(str(told[2]))

    event.listen(engine, "before_cursor_execute", note)
    yield made
    event.remove(engine, "before_cursor_execute", note)


def test_every_page_says_what_is_held_and_leads_to_pay_or_to_give_up(
    client: FlaskClient, database: Database
) -> None:
    mug, bowl = add_product(database), add_product(database)
    put_in_cart(client, mug, 2)
    put_in_cart(client, bowl)
    post(client, "/checkout")
    pages = ("/", "/cart", f"/products/{slug(client)}", "/?q=x", "/nothing")

    bars = [bar_on(client, path) for path in pages]

    assert len(set(bars)) == 1
    assert re.match(r"3 units are reserved for you until \d\d:\d\d \.", bars[0])
    assert "Continue to payment Give up the reservation" in bars[0]


def test_without_a_hold_there_is_no_bar_and_a_newcomer_costs_no_query(
    app: Flask, client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    put_in_cart(client, add_product(database))
    assert bar_on(client, "/") == ""

    with statements_of(app) as made:
        other_client.get("/")

    assert not [statement for statement in made if "checkout" in statement]


def test_the_bar_costs_two_looks_at_most(
    app: Flask, client: FlaskClient, database: Database
) -> None:
    put_in_cart(client, add_product(database))
    post(client, "/checkout")
    client.get("/")

    with statements_of(app) as made:
        client.get("/nothing")

    # What the cart asks about the checkout is not the bar's.
    asked = [each for each in made if "checkout.visitor" in each.split("WHERE")[-1]]
    assert len(asked) == 1
    assert len(made) <= 3


def test_giving_up_frees_the_units_and_keeps_the_cart(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")

    answer = post(client, "/checkout/cancel/1")
    page = client.get(answer.location, headers=ENGLISH)

    assert (answer.status_code, answer.location) == (303, "/checkout/cancel/1")
    assert "You have not paid" in page.text
    assert levels(database, mug) == (5, 0)
    assert f'id="quantity-{mug}"' in client.get("/cart").text
    assert bar_on(client, "/") == ""


def test_a_page_of_another_site_cannot_give_up_a_hold_by_a_form(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug)
    post(client, "/checkout")

    assert client.post("/checkout/cancel/1").status_code == 400
    assert levels(database, mug) == (5, 1)


def test_who_holds_the_last_unit_is_not_told_that_others_hold_it(
    client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    put_in_cart(client, add_product(database, stock_units=1))
    post(client, "/checkout")
    path = f"/products/{slug(client)}"

    own = [client.get(page, headers=ENGLISH).text for page in ("/", path)]
    others = [other_client.get(page, headers=ENGLISH).text for page in ("/", path)]

    for page in own:
        assert "Reserved for you" in page
        assert "Reserved for now" not in page
        assert "may be free again" not in page
        assert "paying now" not in page
    assert "You have reserved 1 of these, until" in own[1]
    for page in others:
        assert "Reserved for you" not in page
        assert "Reserved for now" in page


def test_only_the_units_of_others_are_called_theirs(
    client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=9)
    for somebody, units in ((client, 2), (other_client, 3)):
        put_in_cart(somebody, mug, units)
        post(somebody, "/checkout")

    page = client.get(f"/products/{slug(client)}", headers=ENGLISH).text

    assert "You have reserved 2 of these, until" in page
    assert "3 more are reserved for customers who are paying now." in page
    # 4 are free and 2 are their own, which are in the cart.
    assert 'max="4"' in page


def test_a_shortage_calls_only_the_units_of_others_theirs(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=3)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")
    post(client, "/cart/change", product_id=mug, quantity=9)

    refused = post(client, "/checkout")

    assert refused.status_code == 409
    assert "There are 3 left." in refused.text
    assert "somebody who is paying" not in refused.text


def test_a_page_that_can_still_be_paid_says_so_once(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    put_in_cart(client, add_product(database))
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)

    page = client.get(f"/checkout/success?session_id={session_id}", headers=ENGLISH)

    assert page.text.count("Continue to payment") == 1
    assert token_in(page)
