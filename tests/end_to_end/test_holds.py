"""Several people want the same units; the owner sees who holds them."""

import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from core.owner import reports
from tests.end_to_end.conftest import NewCustomer, opened
from tests.end_to_end.customer import Customer, OpenShop
from tests.factories import (
    add_product,
    assert_invariants,
    eventually,
    levels,
    sessions_at,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def hasty_shop(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenShop]:
    """Give a shop whose holds are over after six seconds."""
    folder = tmp_path_factory.mktemp("hasty")
    with opened(folder, sqlite_template, RESERVATION_MINUTES="0.1") as shop:
        yield shop


def shelf(customer: Customer, product: str) -> Locator:
    customer.visit()
    return customer.card(product)


def bar(customer: Customer) -> Locator:
    """Return the place on a page that tells of the visitor's own hold."""
    return customer.page.get_by_role("complementary", name="Je reservering")


def rows(owner: Page, product: str) -> Locator:
    """Return the rows about a product in the tables of the owner's page."""
    return owner.get_by_role("main").locator("tr").filter(has_text=product)


def free_again(shop: OpenShop, product_id: int) -> str:
    """Return the time on the clock at which the first hold of a product is over."""
    with shop.database.read() as session:
        ends = [
            held.expires_at
            for held in reports.open_reservations(session)
            if held.product_id == product_id
        ]
    return min(ends).astimezone(ZoneInfo("Europe/Amsterdam")).strftime("%H:%M")


def completions(shop: OpenShop) -> list[dict[str, object]]:
    """Return each time that Stripe told the shop of a payment, and its answer."""
    attempts: list[dict[str, object]] = shop.stripe.look("webhooks")["attempts"]
    return [
        tried for tried in attempts if tried["type"] == "checkout.session.completed"
    ]


def test_two_people_buy_of_the_same_five_units(
    open_shop: OpenShop, new_customer: NewCustomer
):
    cup = add_product(open_shop.database, name="Kop voor twee", stock_units=5)
    anna, bram = new_customer(), new_customer()
    told_before = len(completions(open_shop))

    for somebody in (anna, bram):
        somebody.take("Kop voor twee")
        somebody.check_out()
    for somebody in (anna, bram):
        expect(shelf(somebody, "Kop voor twee")).to_contain_text("Nog 3")
    assert levels(open_shop.database, cup) == (5, 2)
    for somebody in (anna, bram):
        somebody.continue_to_payment()
        somebody.pay()
        somebody.sees_paid()
    assert levels(open_shop.database, cup) == (3, 0)
    assert len(open_shop.orders_of("Kop voor twee")) == 2

    told = completions(open_shop)[told_before:]
    for event in told:
        open_shop.stripe.control(f"events/{event['event']}/deliver")
    eventually(lambda: len(completions(open_shop)) == told_before + 2 * len(told))

    assert [each["status"] for each in completions(open_shop)[told_before:]] == 4 * [
        200
    ]
    assert levels(open_shop.database, cup) == (3, 0)
    assert len(open_shop.orders_of("Kop voor twee")) == 2


def test_the_last_unit_is_said_to_be_held_and_free_again_when_given_up(
    open_shop: OpenShop, new_customer: NewCustomer
):
    vase = add_product(open_shop.database, name="Laatste vaas", stock_units=1)
    anna, bram = new_customer(), new_customer()
    bram.take("Laatste vaas")
    anna.take("Laatste vaas")
    anna.check_out()
    time = free_again(open_shop, vase)

    bram.expects(409)
    bram.press_check_out()
    refusal = bram.page.get_by_role("alert")
    expect(refusal).to_contain_text("Laatste vaas")
    expect(refusal).to_contain_text(f"misschien weer vrij om {time}")
    on_shelf = shelf(bram, "Laatste vaas")
    expect(on_shelf).to_contain_text("Tijdelijk gereserveerd")
    expect(on_shelf).to_contain_text(f"misschien weer vrij om {time}")
    bram.open_product("Laatste vaas")
    expect(bram.page.get_by_role("article")).to_contain_text(f"rond {time} weer")

    anna.turn_back()
    expect(anna.heading("Je hebt niet betaald")).to_be_visible()
    bram.visit("/cart")
    bram.check_out()
    bram.pay()

    bram.sees_paid()
    assert levels(open_shop.database, vase) == (0, 0)
    expect(shelf(anna, "Laatste vaas")).to_contain_text("Uitverkocht")


def test_turning_back_keeps_the_cart_and_frees_the_units_at_once(
    open_shop: OpenShop, customer: Customer
):
    cup = add_product(open_shop.database, name="Kop terug", stock_units=5)
    customer.take("Kop terug", units=2)
    customer.check_out()
    assert levels(open_shop.database, cup) == (5, 2)

    customer.turn_back()

    expect(customer.heading("Je hebt niet betaald")).to_be_visible()
    assert levels(open_shop.database, cup) == (5, 0)
    customer.page.get_by_role("link", name="Naar je winkelwagen").click()
    expect(customer.page.get_by_label("Aantal Kop terug")).to_have_value("2")


def test_the_page_that_was_turned_away_from_cannot_be_paid(
    open_shop: OpenShop, customer: Customer
):
    cup = add_product(open_shop.database, name="Kop heen en weer", stock_units=5)
    customer.take("Kop heen en weer")
    customer.check_out()
    customer.turn_back()
    expect(customer.heading("Je hebt niet betaald")).to_be_visible()

    customer.page.go_back()

    closed = customer.page.get_by_text("Deze betaalpagina is verlopen")
    expect(closed).to_be_visible()
    assert levels(open_shop.database, cup) == (5, 0)


def test_the_holder_of_the_last_unit_can_check_out_again(
    open_shop: OpenShop, customer: Customer
):
    bowl = add_product(open_shop.database, name="Laatste schaal", stock_units=1)
    customer.take("Laatste schaal")
    first = customer.check_out()

    customer.visit("/cart")
    expect(bar(customer)).to_contain_text("1 stuk is tot")
    second = customer.check_out()

    assert second != first
    assert levels(open_shop.database, bowl) == (1, 1)
    customer.pay()
    customer.sees_paid()
    assert levels(open_shop.database, bowl) == (0, 0)


def test_somebody_who_asks_for_too_many_can_take_what_is_left(
    open_shop: OpenShop, new_customer: NewCustomer
):
    duck = add_product(open_shop.database, name="Gewilde eend", stock_units=3)
    anna, bram = new_customer(), new_customer()
    bram.take("Gewilde eend", units=3)
    anna.take("Gewilde eend")
    anna.check_out()

    bram.expects(409)
    bram.press_check_out()
    refusal = bram.page.get_by_role("alert")
    expect(refusal).to_contain_text("Je wilde er 3. Er zijn er nog 2.")
    assert levels(open_shop.database, duck) == (3, 1)
    bram.page.get_by_role("button", name="Neem wat er nog is").click()

    expect(bram.page.get_by_label("Aantal Gewilde eend")).to_have_value("2")
    bram.check_out()
    assert levels(open_shop.database, duck) == (3, 3)


def test_a_page_whose_hold_is_over_takes_no_money_and_says_so(
    hasty_shop: OpenShop, new_customer: NewCustomer
):
    cup = add_product(hasty_shop.database, name="Kop te laat", stock_units=5)
    late = new_customer(shop=hasty_shop)
    late.take("Kop te laat")
    session_id = late.check_out()
    eventually(lambda: levels(hasty_shop.database, cup) == (5, 0))

    late.expects(409)
    late.pay()
    expect(late.page.get_by_text("Er is niets afgeschreven.")).to_be_visible()
    late.turn_back()

    expect(late.heading("Deze betaalpagina was al gesloten")).to_be_visible()
    expect(late.page.get_by_text("Er is niets afgeschreven.")).to_be_visible()
    late.visit(f"/checkout/success?session_id={session_id}")
    expect(late.heading("Er is niets betaald")).to_be_visible()
    assert sessions_at(hasty_shop.stripe)[session_id] == "expired"
    assert hasty_shop.orders_of("Kop te laat") == []
    assert_invariants(hasty_shop.database)


def test_a_page_counts_the_time_of_the_hold_down_and_says_when_it_is_over(
    hasty_shop: OpenShop, new_customer: NewCustomer
):
    add_product(hasty_shop.database, name="Kop met klok", stock_units=1)
    customer = new_customer(shop=hasty_shop)
    customer.take("Kop met klok")
    customer.check_out()
    page = customer.page

    customer.open_product("Kop met klok")
    kept = page.content()
    page.evaluate("window.isThisVisit = true")

    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^Nog 0:0[0-6]\.$"))
    expect(page.get_by_role("article")).to_contain_text("Je hebt er 1 gereserveerd")
    told = page.get_by_role("status")
    expect(told).to_contain_text("De tijd om te betalen is om.")
    expect(page.get_by_role("timer")).to_have_count(0)
    expect(page.get_by_text("Voor jou gereserveerd")).not_to_be_visible()
    expect(page.get_by_role("link", name="Verder met betalen")).to_have_count(0)
    assert page.evaluate("window.isThisVisit")
    # A copy of the page that the browser had kept does not begin to count anew.
    page.route("**/products/*", lambda route: route.fulfill(body=kept))
    page.reload()
    expect(told).to_contain_text("De tijd om te betalen is om.")
    customer.visit("/cart")
    expect(bar(customer)).to_have_count(0)
    customer.check_out()


def test_a_hold_is_given_up_from_any_page(open_shop: OpenShop, customer: Customer):
    cup = add_product(open_shop.database, name="Opgegeven kop", stock_units=5)
    customer.take("Opgegeven kop", units=2)
    customer.check_out()
    customer.visit()

    expect(bar(customer)).to_contain_text("2 stuks zijn tot")
    customer.page.get_by_role("button", name="Reservering opgeven").click()

    expect(customer.heading("Je hebt niet betaald")).to_be_visible()
    expect(bar(customer)).to_have_count(0)
    assert levels(open_shop.database, cup) == (5, 0)


def test_the_owner_sees_a_hold_while_it_is_open(
    open_shop: OpenShop, customer: Customer, owner: Page
):
    add_product(open_shop.database, name="Geziene kop", stock_units=5)
    owner.get_by_role("link", name="Reserveringen").click()
    expect(owner.get_by_role("heading", name="Reserveringen")).to_be_visible()
    owner.evaluate("window.isThisVisit = true")
    held = rows(owner, "Geziene kop")
    expect(held).to_have_count(0)

    customer.take("Geziene kop", units=2)
    customer.check_out()
    expect(held).to_have_count(1)
    customer.turn_back()
    expect(customer.heading("Je hebt niet betaald")).to_be_visible()

    expect(held).to_have_count(0)
    assert owner.evaluate("window.isThisVisit")


@pytest.mark.long
def test_the_owner_sees_stock_and_reserved_change_on_the_overview(
    open_shop: OpenShop, customer: Customer, owner: Page
):
    add_product(open_shop.database, name="Overzichtelijke kop", stock_units=5)
    owner.get_by_label("Zoek een product").fill("Overzichtelijke")
    owner.get_by_label("Zoek een product").press("Enter")
    owner.evaluate("window.isThisVisit = true")

    def shows(*units: str) -> bool:
        cells = rows(owner, "Overzichtelijke kop").locator("td")
        return cells.all_text_contents()[-3:] == list(units)

    eventually(lambda: shows("5", "0", "5"))
    customer.take("Overzichtelijke kop", units=2)
    customer.check_out()
    eventually(lambda: shows("5", "2", "3"))
    customer.pay()
    customer.sees_paid()

    eventually(lambda: shows("3", "0", "3"))
    assert owner.evaluate("window.isThisVisit")
