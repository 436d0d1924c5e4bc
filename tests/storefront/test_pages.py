from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.database.engine import Database
from core.models.catalogue import Product
from core.stock import holds
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    levels,
    open_sessions,
    orders_of,
    sessions_at,
)
from tests.storefront.conftest import token_in

# What the pages show is found by core, whose own tests use both databases.
pytestmark = pytest.mark.daily_on("sqlite")

ENGLISH = {"Accept-Language": "en"}


def post(client: FlaskClient, path: str, **fields: object) -> TestResponse:
    """Post a form as a browser does: with the token of a page it has seen."""
    token = token_in(client.get("/cart", headers=ENGLISH))
    return client.post(path, data={"csrf_token": token, **fields}, headers=ENGLISH)


def put_in_cart(client: FlaskClient, product_id: int, quantity: int = 1) -> None:
    post(client, "/cart/add", product_id=product_id, quantity=quantity)


def available_on(page: TestResponse) -> list[int]:
    parts = page.text.split('<data class="available" value="')[1:]
    return [int(part.split('"', 1)[0]) for part in parts]


def test_list_page_and_cart_show_the_same_number(
    client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=5, name="Mug")
    put_in_cart(other_client, mug, 2)
    post(other_client, "/checkout")
    put_in_cart(client, mug)

    shown = [available_on(client.get(path)) for path in ("/", "/cart")]
    link = client.get("/").text.split('href="/products/', 1)[1].split('"', 1)[0]
    shown.append(available_on(client.get(f"/products/{link}")))

    assert shown == [[3], [3], [3]]


def test_a_unit_held_by_another_is_told_from_one_that_is_sold(
    client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=1)
    add_product(database, stock_units=0)
    put_in_cart(other_client, mug)
    post(other_client, "/checkout")

    page = client.get("/", headers=ENGLISH).text

    assert page.count("Reserved for now") == 1
    assert page.count("may be free again at") == 1
    assert page.count("Sold out") == 1


def test_checking_out_leads_to_the_payment_page(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug, 2)

    answer = post(client, "/checkout")

    (session_id,) = open_sessions(stripe)
    assert answer.status_code == 303
    assert answer.location == f"{stripe.url}/c/pay/{session_id}"
    assert levels(database, mug) == (5, 2)


def test_a_refused_checkout_names_what_is_left(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=2, name="Mug")
    put_in_cart(client, mug, 3)

    refused = post(client, "/checkout")

    assert refused.status_code == 409
    assert "There is less than you want to order" in refused.text
    assert "There are 2 left" in refused.text
    assert levels(database, mug) == (2, 0)


def test_taking_what_is_left_makes_the_cart_fit(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=2)
    bowl = add_product(database, stock_units=0)
    put_in_cart(client, mug, 3)
    put_in_cart(client, bowl, 1)

    post(client, "/cart/take-available")
    answer = post(client, "/checkout")

    assert answer.status_code == 303
    assert levels(database, mug) == (2, 2)


def test_ones_own_hold_does_not_count_as_missing(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, stock_units=2)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")

    post(client, "/cart/take-available")
    page = client.get("/cart", headers=ENGLISH).text

    assert 'class="short"' not in page
    assert "2 units are reserved for you until" in page
    assert 'value="2" min="0"' in page


def test_after_payment_the_page_names_what_was_bought_and_the_cart_is_empty(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, name="Blue mug", price_cents=1250)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id)

    page = client.get(f"/checkout/success?session_id={session_id}", headers=ENGLISH)

    assert page.status_code == 200
    assert "Blue mug" in page.text
    assert "€25.00" in page.text
    assert "has been taken out of your cart" not in page.text
    assert len(orders_of(database)) == 1
    assert "Your cart is still empty" in client.get("/cart", headers=ENGLISH).text


def test_the_success_page_needs_no_cookie(
    client: FlaskClient,
    other_client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
) -> None:
    mug = add_product(database, name="Blue mug")
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id)

    page = other_client.get(f"/checkout/success?session_id={session_id}")

    assert "Blue mug" in page.text


def test_a_cart_paid_in_a_closed_tab_is_emptied_once_the_webhook_came(
    app: Flask, client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    bowl = add_product(database)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    put_in_cart(client, bowl)
    stripe.pay(session_id)
    app.test_client().get(f"/checkout/success?session_id={session_id}")

    page = client.get("/cart", headers=ENGLISH).text

    assert f'id="quantity-{mug}"' not in page
    assert f'id="quantity-{bowl}"' in page
    assert page.count("What you ordered has been taken out of your cart.") == 1
    assert (
        "has been taken out of your cart"
        not in client.get("/cart", headers=ENGLISH).text
    )


def test_goods_whose_payment_is_on_its_way_are_no_more_in_the_cart(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    bowl = add_product(database)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id, "sepa_debit", forgotten=True)
    client.get(f"/checkout/success?session_id={session_id}")
    put_in_cart(client, bowl)

    page = client.get("/cart", headers=ENGLISH).text

    assert f'id="quantity-{mug}"' not in page
    assert f'id="quantity-{bowl}"' in page


def test_a_cart_whose_money_came_late_is_emptied(
    app: Flask, client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    client.get("/checkout/cancel/1")
    kept = client.get("/cart", headers=ENGLISH).text
    copy = stripe.recover(session_id)["id"]
    stripe.pay(copy)
    app.test_client().get(f"/checkout/success?session_id={copy}")

    page = client.get("/cart", headers=ENGLISH).text

    assert f'id="quantity-{mug}"' in kept
    assert f'id="quantity-{mug}"' not in page
    (order,) = orders_of(database)
    assert order.was_late


@pytest.mark.parametrize(
    "session_id",
    [
        *("", "cs_test_nothing", "cs_live_x", "../../etc", "💶", "cs_" + "x" * 5000),
        *("{CHECKOUT_SESSION_ID}", "pi_123", "cs_test_%00"),
    ],
)
def test_a_strange_session_is_answered_kindly(
    client: FlaskClient, session_id: str
) -> None:
    page = client.get(
        "/checkout/success", query_string={"session_id": session_id}, headers=ENGLISH
    )

    assert page.status_code == 200
    assert "We do not know this payment" in page.text


def test_an_open_payment_page_is_not_called_paid(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)

    page = client.get(f"/checkout/success?session_id={session_id}", headers=ENGLISH)

    assert "Nothing has been paid yet" in page.text
    assert orders_of(database) == []


def test_the_success_page_is_kind_while_stripe_is_out_of_reach(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    stripe.fault("*", "error_before", times=0)

    page = client.get(f"/checkout/success?session_id={session_id}", headers=ENGLISH)

    assert page.status_code == 200
    assert "You need not pay again" in page.text


def test_coming_back_frees_the_units_and_keeps_the_cart(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)

    page = client.get("/checkout/cancel/1", headers=ENGLISH)

    assert "You have not paid" in page.text
    assert sessions_at(stripe)[session_id] == "expired"
    assert levels(database, mug) == (5, 0)
    assert f'id="quantity-{mug}"' in client.get("/cart").text


def test_a_stranger_who_opens_the_cancel_address_changes_nothing(
    client: FlaskClient, other_client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")

    page = other_client.get("/checkout/cancel/1", headers=ENGLISH)

    assert "This is not your payment page" in page.text
    assert levels(database, mug) == (5, 2)


def test_with_stripe_down_the_cancel_page_is_kind_and_keeps_the_hold(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug, 2)
    post(client, "/checkout")
    stripe.fault("*", "error_before", times=0)

    page = client.get("/checkout/cancel/1", headers=ENGLISH)

    assert page.status_code == 200
    assert "We still hold your products" in page.text
    assert levels(database, mug) == (5, 2)


@pytest.mark.parametrize("number", ["", "0", "999", "-1", "x", "9" * 30, "1.5"])
def test_a_strange_cancel_address_is_answered_kindly(
    client: FlaskClient, number: str
) -> None:
    page = client.get(f"/checkout/cancel/{number}")

    assert page.status_code == 200


def test_a_hold_that_ended_is_told_plainly(
    app: Flask, client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    clock = FakeClock(utcnow())
    app.extensions["shop"] = replace(app.extensions["shop"], clock=clock)
    mug = add_product(database)
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    clock.advance(minutes=15)
    client.get(
        "/api/cron/cleanup-stock-reservations",
        headers={"Authorization": "Bearer for tests"},
    )

    returned = client.get(f"/checkout/success?session_id={session_id}", headers=ENGLISH)
    cancelled = client.get("/checkout/cancel/1", headers=ENGLISH)

    assert "Nothing was paid" in returned.text
    assert "already closed" in cancelled.text


def test_continuing_leads_back_to_the_same_payment_page(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug)
    first = post(client, "/checkout")

    again = client.get("/checkout/continue")

    assert again.location == first.location
    assert len(open_sessions(stripe)) == 1


def test_a_form_without_a_token_changes_nothing(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    client.get("/")

    answer = client.post("/cart/add", data={"product_id": mug, "quantity": 1})

    assert answer.status_code == 400
    assert f'id="quantity-{mug}"' not in client.get("/cart").text


@pytest.mark.parametrize("quantity", ["", "0", "-1", "1.5", "veel", "٣", "1e3"])
def test_a_strange_quantity_puts_nothing_in_the_cart(
    client: FlaskClient, database: Database, quantity: str
) -> None:
    mug = add_product(database)

    answer = post(client, "/cart/add", product_id=mug, quantity=quantity)

    assert answer.status_code == 303
    assert f'id="quantity-{mug}"' not in client.get("/cart").text


def test_dutch_is_spoken_unless_english_is_asked_for_or_chosen(
    client: FlaskClient,
) -> None:
    def language(**headers: str) -> str:
        page = client.get("/", headers=headers)
        return page.text.split('<html lang="', 1)[1].split('"', 1)[0]

    assert language() == "nl"
    assert language(**{"Accept-Language": "de,en;q=0.5"}) == "en"
    assert language(**{"Accept-Language": "fr"}) == "nl"
    post(client, "/language", locale="en", next="/cart")
    assert language(**{"Accept-Language": "nl"}) == "en"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\e", "/\t/evil.example", "/\r\nX: 1"],
)
def test_choosing_a_language_leads_to_no_stranger(
    client: FlaskClient, target: str
) -> None:
    answer = post(client, "/language", locale="en", next=target)

    assert answer.location == "/"


def test_what_does_not_exist_gets_a_page(client: FlaskClient) -> None:
    missing = [
        client.get(path, headers=ENGLISH)
        for path in ("/nothing", "/products/nothing", "/orders/nothing")
    ]

    assert [page.status_code for page in missing] == [404, 404, 404]
    assert all("<h1>" in page.text for page in missing)


def test_every_answer_is_guarded_against_strangers_scripts_and_frames(
    client: FlaskClient, stripe: EmulatorServer
) -> None:
    answer = client.get("/")

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert f"form-action 'self' https://checkout.stripe.com {stripe.url}" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_picture_elsewhere_is_not_fetched(
    client: FlaskClient, database: Database
) -> None:
    add_product(database)
    database.write(
        lambda session: session.execute(
            update(Product).values(image="https://elsewhere.example/x.jpg")
        )
    )

    page = client.get("/").text

    assert "elsewhere.example" not in page


@pytest.mark.parametrize("path", ["/products/%00", "/?q=%00", "/orders/%00"])
def test_an_address_that_nobody_has_is_not_an_error_of_ours(
    client: FlaskClient, path: str
) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("product_id", ["0", "-1", "9" * 25, "x", "", "1.5"])
def test_a_strange_product_puts_nothing_in_the_cart(
    client: FlaskClient, product_id: str
) -> None:
    answer = post(client, "/cart/add", product_id=product_id, quantity=1)

    assert answer.status_code == 404


@pytest.mark.parametrize("soonest", [holds.SOONEST, 0])
def test_with_the_sweep_asleep_the_product_page_lets_the_next_shopper_buy(
    app: Flask,
    client: FlaskClient,
    other_client: FlaskClient,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    soonest: int,
) -> None:
    """Also when so many holds end before that nobody knows this one's time."""
    monkeypatch.setattr(holds, "SOONEST", soonest)
    clock = FakeClock(utcnow())
    app.extensions["shop"] = replace(app.extensions["shop"], clock=clock)
    mug = add_product(database, stock_units=1)
    put_in_cart(other_client, mug)
    post(other_client, "/checkout")
    link = client.get("/").text.split('href="/products/', 1)[1].split('"', 1)[0]
    during = client.get(f"/products/{link}").text
    clock.advance(minutes=15, seconds=1)

    after = client.get(f"/products/{link}").text
    put_in_cart(client, mug)
    bought = post(client, "/checkout")

    assert 'class="buy"' not in during
    assert 'class="buy"' in after
    assert bought.status_code == 303
    assert levels(database, mug) == (1, 1)


def test_who_has_paid_already_is_led_to_his_order_not_to_pay_again(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database, name="Blue mug")
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id)

    answer = post(client, "/checkout")

    assert answer.location.startswith("/orders/")
    assert "You had paid already" in client.get(answer.location, headers=ENGLISH).text
    assert open_sessions(stripe) == []
    assert levels(database, mug) == (4, 0)


def test_a_payment_that_the_bank_refused_is_called_so(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id, "sepa_debit", forgotten=True)
    stripe.settle(session_id, "fail")

    page = client.get(f"/checkout/success?session_id={session_id}", headers=ENGLISH)

    assert "Your bank did not carry out the payment" in page.text
    assert levels(database, mug) == (5, 0)


def test_a_delayed_payment_is_not_called_cancelled(
    client: FlaskClient, database: Database, stripe: EmulatorServer
) -> None:
    mug = add_product(database)
    put_in_cart(client, mug)
    post(client, "/checkout")
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id, "sepa_debit", forgotten=True)

    page = client.get("/checkout/cancel/1", headers=ENGLISH)

    assert "Your payment is being processed" in page.text
