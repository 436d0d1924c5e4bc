"""Products and prices, and sessions whose lines name them."""

import pytest
import stripe

from stripe_emulator.validation.stripe_types import check_answer
from tests.stripe_emulator.conftest import as_json, order


@pytest.fixture
def product(client):
    return client.v1.products.create({"name": "Mug", "metadata": {"sku": "mug-1"}})


@pytest.fixture
def price(client, product):
    amount = {"product": product.id, "unit_amount": 1295, "currency": "EUR"}
    return client.v1.prices.create(amount)


def named(line, **changes):
    return order(line_items=[{**line, "quantity": 2}], **changes)


def test_products_and_prices_are_told_as_the_package_knows_them(client, product, price):
    again = client.v1.products.retrieve(product.id)
    price_again = client.v1.prices.retrieve(price.id)

    assert (again.name, again.metadata["sku"]) == ("Mug", "mug-1")
    assert (price_again.unit_amount, price_again.currency) == (1295, "eur")
    assert price_again.active
    assert check_answer(as_json(again), stripe.Product) == []
    assert check_answer(as_json(price_again), stripe.Price) == []


def test_they_are_told_as_events(client, price):
    kinds = [event.type for event in client.v1.events.list().data]

    assert kinds == ["price.created", "product.created"]


def test_a_price_makes_its_product_on_demand(client):
    made = client.v1.prices.create(
        {
            "product_data": {"name": "Plate"},
            "unit_amount": 500,
            "currency": "eur",
        }
    )

    assert client.v1.products.retrieve(made.product).name == "Plate"


def test_a_session_costs_what_its_prices_say(sessions, price, product):
    session = sessions.create(named({"price": price.id}))

    (line,) = sessions.line_items.list(session.id).data
    assert session.amount_total == 2590
    assert (line.description, line.price.id) == ("Mug", price.id)
    assert (line.price.product, line.price.active) == (product.id, True)


def test_a_session_names_a_product_and_tells_the_price(sessions, product):
    data = {"currency": "eur", "unit_amount": 700, "product": product.id}

    session = sessions.create(named({"price_data": data}))

    (line,) = sessions.line_items.list(session.id).data
    assert session.amount_total == 1400
    assert (line.description, line.price.product) == ("Mug", product.id)


def test_a_price_with_fractions_of_a_cent_is_rounded_once_a_line(client, product):
    half = {"product": product.id, "unit_amount_decimal": "0.5", "currency": "eur"}
    price = client.v1.prices.create(half)

    session = client.v1.checkout.sessions.create(
        order(line_items=[{"price": price.id, "quantity": 3}])
    )

    assert session.amount_total == 2


@pytest.mark.parametrize(
    ("line", "param"),
    [
        ({"price": "price_none"}, "line_items[0][price]"),
        (
            {"price_data": {"currency": "eur", "unit_amount": 1, "product": "prod_x"}},
            "line_items[0][price_data][product]",
        ),
    ],
)
def test_what_does_not_exist_is_not_sold(sessions, line, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sessions.create(named(line))

    assert caught.value.code == "resource_missing"
    assert caught.value.param == param


def test_an_inactive_price_is_not_sold(client, sessions, product):
    amount = {"product": product.id, "unit_amount": 1, "currency": "eur"}
    price = client.v1.prices.create({**amount, "active": False})

    with pytest.raises(stripe.InvalidRequestError, match="inactive"):
        sessions.create(named({"price": price.id}))


def test_a_line_has_one_price(sessions, price):
    data = {"currency": "eur", "unit_amount": 1, "product_data": {"name": "Mug"}}

    with pytest.raises(stripe.InvalidRequestError, match="only specify one"):
        sessions.create(named({"price": price.id, "price_data": data}))


def test_the_lines_of_a_session_have_one_currency(client, sessions, price, product):
    amount = {"product": product.id, "unit_amount": 1, "currency": "usd"}
    dollars = client.v1.prices.create(amount)
    lines = [{"price": each.id, "quantity": 1} for each in (price, dollars)]

    with pytest.raises(stripe.InvalidRequestError, match="same currency"):
        sessions.create(order(line_items=lines))


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"product": "prod_none"}, "product"),
        ({"currency": "eurs"}, "currency"),
        ({"unit_amount": -1}, "unit_amount"),
        ({"recurring": {"interval": "month"}}, "recurring"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_price_that_is_wrong_is_refused(client, product, changes, param):
    amount = {"product": product.id, "unit_amount": 1, "currency": "eur"}

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.prices.create({**amount, **changes})

    assert caught.value.param == param


def test_a_product_is_made_once(client, product):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.products.create({"name": "Mug", "id": product.id})

    assert caught.value.code == "resource_already_exists"
