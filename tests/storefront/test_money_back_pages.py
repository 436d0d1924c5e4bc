"""What a customer is shown of money that goes back, or should."""

import re
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.checkout import events
from core.checkout.late_money import confirm_or_retake
from core.clock import utcnow
from core.database.engine import Database
from core.models.refunds import AUTOMATIC, FAILED
from core.payments.data import Bill, DisputeReport, Payment
from core.payments.offer import ShippingOption
from core.refunds import disputes, refunds, sending
from core.refunds import views as refund_views
from core.shop import Shop
from tests.core.checkout.test_late import twin_of
from tests.emulator import EmulatorServer
from tests.factories import add_product, begin, bought, orders_of, reserved, sold
from tests.storefront.conftest import token_in

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def shop(app: Flask) -> Shop:
    shop: Shop = app.extensions["shop"]
    return shop


def shown(client: FlaskClient, path: str) -> str:
    """Return the text of a page, as it is read."""
    page = client.get(path, headers=ENGLISH)
    assert page.status_code == 200
    text = re.sub(r"<[^>]*>", " ", page.text.split("<main", 1)[1])
    return re.sub(r"\s+", " ", text)


def success(client: FlaskClient, session_id: str) -> str:
    return shown(client, f"/checkout/success?session_id={session_id}")


def late_money(shop: Shop, stripe: EmulatorServer) -> str:
    """Have a page paid whose hold was over and whose unit was sold; return its id."""
    mug = add_product(shop.database, stock_units=1)
    page = begin(shop, {mug: 1})
    shop.gateway.expire(page.stripe_session_id)
    events.settle_returned(shop, page.stripe_session_id)
    bought(shop, stripe, {mug: 1})
    copy: str = stripe.recover(page.stripe_session_id)["id"]
    stripe.pay(copy)
    return copy


def test_late_money_is_told_to_go_back(
    client: FlaskClient, shop: Shop, stripe: EmulatorServer
) -> None:
    session_id = late_money(shop, stripe)

    page = success(client, session_id)

    assert "You get your money back" in page
    assert "The whole amount goes back to you" in page


def test_late_money_that_cannot_go_back_is_owed_until_it_does(
    client: FlaskClient, shop: Shop, stripe: EmulatorServer
) -> None:
    stripe.next_refunds("failed")
    session_id = late_money(shop, stripe)

    owed = success(client, session_id)

    assert "We still owe you your money" in owed
    with shop.database.read() as session:
        (failed,) = refund_views.refunds(session)
    assert (failed.cause, failed.status) == (AUTOMATIC, FAILED)
    shop.database.write(
        lambda s: refunds.request_again(s, failed.id, who="owner", now=utcnow())
    )
    sending.send_refunds(shop)
    assert "You get your money back" in success(client, session_id)


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_second_payment_of_a_cart_is_told_to_go_back_and_the_order_stands(
    client: FlaskClient, shop: Shop, stripe: EmulatorServer, *, is_taken: bool
) -> None:
    page = begin(shop, {add_product(shop.database): 1})
    twin = twin_of(shop, stripe, page)
    stripe.pay(page.stripe_session_id)
    first = success(client, page.stripe_session_id)
    stripe.next_refunds("succeeded" if is_taken else "failed")
    stripe.pay(twin.stripe_session_id)

    second = success(client, twin.stripe_session_id)

    (order,) = orders_of(shop.database)
    assert "Thank you, your order is paid" in first
    assert "You paid twice for the same products." in second
    assert f"Your order {order.number} stands" in second
    assert ("It goes back to you" in second) == is_taken
    assert ("did not work by itself" in second) != is_taken
    assert "Thank you, your order is paid" in success(client, page.stripe_session_id)


def test_an_orders_page_tells_what_is_on_its_way_and_what_has_arrived(
    client: FlaskClient, shop: Shop, stripe: EmulatorServer
) -> None:
    order = bought(shop, stripe, {add_product(shop.database, price_cents=1000): 1})
    stripe.next_refunds("pending")
    made = stripe.refund(order.stripe_session_id, amount=1000)
    sending.look_at_refunds(shop, order.payment_intent)

    under_way = shown(client, f"/orders/{order.token}")

    assert "Status Your money is on its way back" in under_way
    assert "On its way back to you €10.00" in under_way
    stripe.control(f"refunds/{made['id']}/succeed")
    sending.look_at_refunds(shop, order.payment_intent)
    arrived = shown(client, f"/orders/{order.token}")
    assert "Status Paid back" in arrived
    assert "Paid back €10.00" in arrived
    assert "on its way back" not in arrived


def test_an_orders_page_tells_what_the_bank_took_back(
    client: FlaskClient, database: Database
) -> None:
    sold(database, {add_product(database): 1}, utcnow())
    report = DisputeReport("du_1", "pi_1", 1250, "eur", "general", "lost", None)
    database.write(lambda s: disputes.take_report(s, report, now=utcnow()))
    (order,) = orders_of(database)

    page = shown(client, f"/orders/{order.token}")

    assert "Status Taken back by your bank" in page
    assert "Taken back by your bank €12.50" in page


def test_an_orders_page_adds_up_when_another_amount_was_paid(
    client: FlaskClient, database: Database
) -> None:
    sold(database, {add_product(database, price_cents=1250): 1}, utcnow(), cents=1000)
    (order,) = orders_of(database)

    page = shown(client, f"/orders/{order.token}")

    assert "Difference -€2.50 Total €10.00" in page


def test_an_orders_page_tells_prices_in_the_currency_that_they_were_in(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database, price_cents=1250)
    checkout_id = reserved(database, {mug: 1}, utcnow())
    bill = Bill(subtotal_cents=1250, total_cents=1250, currency="usd")
    payment = Payment("cs_test_1", "pi_1", bill)
    database.write(lambda s: confirm_or_retake(s, checkout_id, payment, now=utcnow()))
    (order,) = orders_of(database)

    page = shown(client, f"/orders/{order.token}")

    assert "1 × €12.50 €12.50 Total $12.50" in page  # noqa: RUF001 (times)


def test_a_cart_names_what_comes_on_top(app: Flask, client: FlaskClient) -> None:
    shop: Shop = app.extensions["shop"]
    options = (ShippingOption("PostNL", 495), ShippingOption("Pick-up", 0))
    offer = replace(shop.config.offer, shipping_options=options)
    app.extensions["shop"] = replace(shop, config=replace(shop.config, offer=offer))
    mug = add_product(shop.database)
    token = token_in(client.get("/cart", headers=ENGLISH))
    fields = {"csrf_token": token, "product_id": mug, "quantity": 1}
    client.post("/cart/add", data=fields, headers=ENGLISH)

    page = shown(client, "/cart")

    assert "you choose when you pay: PostNL €4.95, Pick-up free of charge." in page
