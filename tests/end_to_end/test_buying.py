"""Somebody buys something, from the shelf to the order page."""

import re

import pytest
from playwright.sync_api import expect

from tests.end_to_end.conftest import PHONE, WIDE, NewCustomer
from tests.end_to_end.customer import Customer, OpenShop
from tests.factories import add_product, change, levels

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# Dutch amounts have a space that does not break.
TWO_POTS = "€\N{NO-BREAK SPACE}96,00"


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_two_pots_are_bought_from_the_shelf_to_the_order_page(
    open_shop: OpenShop, new_customer: NewCustomer, width: int
):
    name = f"Theepot voor {width}"
    pot = add_product(open_shop.database, name=name, stock_units=5, price_cents=4800)
    customer = new_customer(width=width)
    page = customer.page

    customer.take(name, units=2)
    expect(page.get_by_role("link", name="Winkelwagen 2")).to_be_visible()
    customer.check_out()
    expect(page.get_by_role("heading", name="Totaal")).to_contain_text(TWO_POTS)
    customer.pay()

    customer.sees_paid()
    bought = page.get_by_role("table", name="Wat je hebt gekocht")
    expect(bought).to_contain_text(name)
    expect(bought.get_by_role("row", name="Totaal")).to_contain_text(TWO_POTS)
    expect(page.get_by_role("link", name="Winkelwagen 0")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Bekijk bestelling")).click()
    expect(page).to_have_url(re.compile("/orders/"))
    expect(page.get_by_role("heading", name=re.compile("^Bestelling "))).to_be_visible()
    expect(page.get_by_text("Betaald", exact=True)).to_be_visible()
    expect(bought).to_contain_text(name)
    assert levels(open_shop.database, pot) == (3, 0)


def test_an_order_is_paid_with_ideal(open_shop: OpenShop, customer: Customer):
    add_product(open_shop.database, name="Kop voor iDEAL")

    customer.take("Kop voor iDEAL")
    customer.check_out()
    customer.pay("iDEAL | Wero")

    customer.sees_paid()
    (order,) = open_shop.orders_of("Kop voor iDEAL")
    assert order.amount_cents == 1250


def test_a_declined_payment_can_be_made_after_all(
    open_shop: OpenShop, customer: Customer
):
    cup = add_product(open_shop.database, name="Geweigerde kop", stock_units=5)
    page = customer.page
    customer.take("Geweigerde kop")
    customer.check_out()

    page.get_by_role("button", name="Laat de betaling weigeren").click()
    expect(page.get_by_role("alert")).to_contain_text("Er is niets afgeschreven")
    assert levels(open_shop.database, cup) == (5, 1)
    customer.pay()

    customer.sees_paid()
    assert levels(open_shop.database, cup) == (4, 0)
    assert len(open_shop.orders_of("Geweigerde kop")) == 1


def test_a_payment_that_takes_days_is_on_its_way_and_stays_reserved(
    open_shop: OpenShop, customer: Customer
):
    cup = add_product(open_shop.database, name="Kop op incasso", stock_units=5)
    customer.take("Kop op incasso")
    session_id = customer.check_out()

    # The shop asks Stripe not to offer such methods; some day it may miss one.
    open_shop.stripe.pay(session_id, "sepa_debit", forgotten=True)
    customer.visit(f"/checkout/success?session_id={session_id}")

    expect(customer.heading("Je betaling wordt verwerkt")).to_be_visible()
    assert levels(open_shop.database, cup) == (5, 1)
    assert open_shop.orders_of("Kop op incasso") == []


def test_what_was_paid_is_out_of_the_cart_though_nobody_came_back(
    open_shop: OpenShop, customer: Customer
):
    add_product(open_shop.database, name="Kop zonder terugkeer")
    customer.take("Kop zonder terugkeer")
    session_id = customer.check_out()

    open_shop.stripe.pay(session_id)
    customer.visit()

    expect(customer.page.get_by_role("link", name="Winkelwagen 0")).to_be_visible()


def test_the_success_page_can_be_opened_in_another_browser(
    open_shop: OpenShop, new_customer: NewCustomer
):
    add_product(open_shop.database, name="Kop in twee browsers")
    shopper, payer = new_customer(), new_customer()
    shopper.take("Kop in twee browsers")
    session_id = shopper.check_out()

    payer.page.goto(shopper.page.url)
    payer.pay()

    payer.sees_paid()
    expect(payer.page.get_by_role("table")).to_contain_text("Kop in twee browsers")
    assert payer.page.url.endswith(session_id)


def test_a_price_that_rose_is_shown_before_it_is_paid(
    open_shop: OpenShop, customer: Customer
):
    cup = add_product(open_shop.database, name="Duurdere kop", price_cents=1650)
    customer.take("Duurdere kop")
    change(open_shop.database, cup, price_cents=2650)

    customer.expects(409)
    customer.press_check_out()
    told = customer.page.get_by_role("alert")
    expect(told).to_contain_text("Je winkelwagen is veranderd")
    expect(told).to_contain_text("De prijs was €\xa016,50 en is nu €\xa026,50.")
    assert levels(open_shop.database, cup) == (5, 0)
    customer.check_out()
    customer.pay()

    customer.sees_paid()
    (order,) = open_shop.orders_of("Duurdere kop")
    assert order.amount_cents == 2650
