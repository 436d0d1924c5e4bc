"""Every page for everybody: screen readers, keyboards, phones and two languages."""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.catalogue import products
from core.clock import utcnow
from core.stock import ledger
from tests.end_to_end.conftest import HEIGHT, PHONE, WIDE, Dashboard, NewCustomer
from tests.end_to_end.customer import Customer, OpenShop
from tests.factories import add_product, change

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LANGUAGES = {"nl": "nl-NL", "en": "en-GB"}
# Streamlit's own: its captions are pale and its navigation is no list.
OF_STREAMLIT = {"color-contrast", "list", "listitem"}
LONG_NAME = "Handgedraaide kop en schotel van steengoed met een donkerblauwe rand"

CALLED = """element =>
    (element.labels?.[0] ?? element).innerText.trim().replace(/\\s+/g, " ")"""
IS_OUTLINED = """element => [null, "::after"].some(part =>
    parseFloat(getComputedStyle(element, part).outlineWidth) >= 2 &&
    getComputedStyle(element, part).outlineStyle !== "none")"""

Way = Callable[[Customer], None]


def violations(page: Page) -> dict[str, list[str]]:
    """Return where the page breaks which serious rule."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]]
        for rule in found
        if rule["impact"] in ("serious", "critical")
    }


def width_on_a_phone(page: Page) -> int:
    page.set_viewport_size({"width": PHONE, "height": HEIGHT})
    return int(page.evaluate("document.documentElement.scrollWidth"))


def press(customer: Customer, path: str, **fields: str) -> None:
    """Press the button of the form that posts to *path*, in whatever language."""
    form = customer.page.locator(f'form[action="{path}"]').first
    for name, value in fields.items():
        form.locator(f'[name="{name}"]').fill(value)
    form.locator("button").click()


def take(customer: Customer, product: str, units: int = 1) -> None:
    customer.open_product(product)
    press(customer, "/cart/add", quantity=str(units))
    customer.page.wait_for_url("**/cart")


def check_out(customer: Customer) -> str:
    press(customer, "/checkout")
    return customer.session_id()


def add(customer: Customer, units: int = 9) -> str:
    """Put a product with a long name on the shelf; return its name."""
    product = f"{LONG_NAME} {uuid.uuid4().hex[:6]}"
    add_product(customer.shop.database, name=product, stock_units=units)
    return product


def to_the_shelf(customer: Customer) -> None:
    add(customer)
    customer.visit()


def to_what_was_searched(customer: Customer) -> None:
    add(customer)
    customer.visit("/?q=steengoed")


def to_nothing_found(customer: Customer) -> None:
    customer.visit("/?q=zeppelin")


def to_a_product(customer: Customer) -> None:
    customer.open_product(add(customer))


def to_a_product_of_which_few_are_left(customer: Customer) -> None:
    product = add(customer, units=3)
    take(customer, product)
    check_out(customer)
    customer.open_product(product)


def to_a_product_that_is_held(customer: Customer) -> None:
    product = add(customer, units=1)
    take(customer, product)
    check_out(customer)
    customer.open_product(product)


def to_a_product_that_is_sold_out(customer: Customer) -> None:
    customer.open_product(add(customer, units=0))


def to_the_empty_cart(customer: Customer) -> None:
    customer.visit("/cart")


def to_the_cart(customer: Customer) -> None:
    take(customer, add(customer), 2)
    take(customer, add(customer))


def to_the_cart_with_a_wrong_quantity(customer: Customer) -> None:
    take(customer, add(customer))
    field = customer.page.locator("input[type=number]")
    # The browser itself refuses this; a program may send it all the same.
    field.evaluate("field => { field.type = 'text'; field.value = 'veel'; }")
    customer.page.locator('form[action="/cart/change"] button').first.click()
    customer.page.get_by_role("alert").wait_for()


def to_the_cart_while_its_page_is_open(customer: Customer) -> None:
    take(customer, add(customer))
    check_out(customer)
    customer.visit("/cart")


def to_a_shortage(customer: Customer) -> None:
    customer.expects(409)
    take(customer, add(customer, units=3), 3)
    with customer.shop.database.read() as session:
        product_id = next(reversed(products.listed(session))).id
    customer.shop.database.write(
        lambda session: ledger.adjust(
            session, product_id, -1, note="broken", now=utcnow()
        )
    )
    press(customer, "/checkout")
    customer.page.get_by_role("alert").wait_for()


def to_the_payment_page(customer: Customer) -> None:
    take(customer, add(customer))
    check_out(customer)


def to_a_declined_payment(customer: Customer) -> None:
    to_the_payment_page(customer)
    customer.page.locator("#decline").click()
    customer.page.get_by_role("alert").wait_for()


def to_a_closed_payment_page(customer: Customer) -> None:
    to_the_payment_page(customer)
    page = customer.page.url
    customer.page.locator("#back").click()
    customer.page.goto(page)


def to_the_page_after_paying(customer: Customer) -> None:
    to_the_payment_page(customer)
    customer.page.locator("#pay").click()
    customer.page.wait_for_url("**/checkout/success*")


def to_the_order(customer: Customer) -> None:
    to_the_page_after_paying(customer)
    customer.page.locator('a[href*="/orders/"]').click()


def to_a_payment_on_its_way(customer: Customer) -> None:
    take(customer, add(customer))
    session_id = check_out(customer)
    customer.shop.stripe.pay(session_id, "sepa_debit", forgotten=True)
    customer.visit(f"/checkout/success?session_id={session_id}")


def to_the_page_after_turning_back(customer: Customer) -> None:
    to_the_payment_page(customer)
    customer.page.locator("#back").click()
    customer.page.wait_for_url("**/checkout/cancel/*")


def to_a_payment_that_was_ended_before(customer: Customer) -> None:
    to_the_page_after_turning_back(customer)
    customer.page.reload()


def to_somebody_elses_payment(customer: Customer) -> None:
    customer.visit("/checkout/cancel/1")


def to_an_unknown_payment(customer: Customer) -> None:
    customer.visit("/checkout/success?session_id=cs_test_nobody")


def to_nowhere(customer: Customer) -> None:
    customer.expects(404)
    customer.visit("/products/nowhere")


def to_a_cart_that_has_changed(customer: Customer) -> None:
    customer.expects(409)
    take(customer, add(customer, units=3), 3)
    with customer.shop.database.read() as session:
        product_id = next(reversed(products.listed(session))).id
    change(customer.shop.database, product_id, price_cents=2650)
    press(customer, "/checkout")
    customer.page.get_by_role("alert").wait_for()


WAYS: tuple[Way, ...] = (
    to_the_shelf,
    to_what_was_searched,
    to_nothing_found,
    to_a_product,
    to_a_product_of_which_few_are_left,
    to_a_product_that_is_held,
    to_a_product_that_is_sold_out,
    to_the_empty_cart,
    to_the_cart,
    to_the_cart_with_a_wrong_quantity,
    to_the_cart_while_its_page_is_open,
    to_a_shortage,
    to_the_payment_page,
    to_a_declined_payment,
    to_a_closed_payment_page,
    to_the_page_after_paying,
    to_the_order,
    to_a_payment_on_its_way,
    to_the_page_after_turning_back,
    to_a_payment_that_was_ended_before,
    to_somebody_elses_payment,
    to_an_unknown_payment,
    to_nowhere,
    to_a_cart_that_has_changed,
)


def each_way() -> Iterator[ParameterSet]:
    """Go each way in both languages; each day in one of them, in turn."""
    for number, go in enumerate(WAYS):
        for turn, (language, width) in enumerate([("nl", WIDE), ("en", PHONE)]):
            marks = [] if number % 2 == turn else [pytest.mark.long]
            name = f"{go.__name__}-{language}-{width}"
            yield pytest.param(go, language, width, id=name, marks=marks)


@pytest.mark.parametrize(("go", "language", "width"), each_way())
def test_a_page_is_accessible_and_fits_a_phone(
    new_customer: NewCustomer, go: Way, language: str, width: int
):
    customer = new_customer(locale=LANGUAGES[language], width=width)
    go(customer)

    assert customer.page.locator("html").get_attribute("lang") == language
    assert violations(customer.page) == {}
    assert width_on_a_phone(customer.page) <= PHONE


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called *name* has the focus, and can be seen to."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.locator("*:focus")
        if re.search(name, focused.evaluate(CALLED)):
            assert focused.evaluate(IS_OUTLINED), f"the focus on {name} is not seen"
            return
    raise AssertionError(f"Tab never came to {name}")


def test_a_product_is_bought_with_the_keyboard_alone(
    open_shop: OpenShop, customer: Customer
):
    add_product(open_shop.database, name="Kop zonder muis", stock_units=5)
    page = customer.page
    customer.visit("/?q=muis")

    tab_to(page, "^Kop zonder muis$")
    page.keyboard.press("Enter")
    expect(customer.heading("Kop zonder muis")).to_be_visible()
    tab_to(page, "^Aantal$")
    page.keyboard.type("2")
    tab_to(page, "^In winkelwagen$")
    page.keyboard.press("Enter")
    expect(customer.heading("Je winkelwagen")).to_be_visible()
    tab_to(page, "^Afrekenen$")
    page.keyboard.press("Enter")
    customer.session_id()
    tab_to(page, "^Betalen")
    page.keyboard.press("Enter")

    customer.sees_paid()
    (order,) = open_shop.orders_of("Kop zonder muis")
    assert [line.quantity for line in order.lines] == [2]


def test_the_first_tab_offers_to_skip_to_the_content(customer: Customer):
    customer.visit()

    customer.page.keyboard.press("Tab")
    customer.page.keyboard.press("Enter")

    expect(customer.page.locator("main")).to_be_focused()


@pytest.mark.parametrize(
    ("locale", "language"), [("nl-BE", "nl"), ("en-US", "en"), ("fr-FR", "nl")]
)
def test_the_browser_chooses_the_language_and_dutch_is_the_default(
    new_customer: NewCustomer, locale: str, language: str
):
    customer = new_customer(locale=locale)
    customer.visit()

    expect(customer.page.locator("html")).to_have_attribute("lang", language)
    cart = {"nl": "Winkelwagen 0", "en": "Cart 0"}[language]
    expect(customer.page.get_by_role("link", name=cart)).to_be_visible()


def test_the_language_that_was_chosen_stays_on_every_page(
    open_shop: OpenShop, customer: Customer
):
    add_product(open_shop.database, name="Tweetalige kop", price_cents=123456)
    page = customer.page
    customer.open_product("Tweetalige kop")

    page.get_by_role("button", name="English").click()

    expect(customer.heading("Tweetalige kop")).to_be_visible()
    expect(page.get_by_text("€1,234.56")).to_be_visible()
    page.get_by_role("button", name="Add to cart").click()
    expect(customer.heading("Your cart")).to_be_visible()
    page.get_by_role("button", name="Check out").click()
    customer.session_id()
    expect(page.get_by_role("button", name="Pay €1,234.56")).to_be_visible()
    page.get_by_role("button", name="Pay €1,234.56").click()
    expect(customer.heading("Thank you, your order is paid")).to_be_visible()


@pytest.mark.parametrize("language", ["nl", pytest.param("en", marks=pytest.mark.long)])
def test_the_login_of_the_dashboard_is_accessible_and_fits_a_phone(
    new_customer: NewCustomer, dashboard: Dashboard, language: str
):
    page = new_customer(locale=LANGUAGES[language]).page
    page.goto(dashboard.url)

    assert page.locator("html").get_attribute("lang") == language
    assert violations(page) == {}
    assert width_on_a_phone(page) <= PHONE


@pytest.mark.parametrize(
    "name",
    [
        "Overzicht",
        pytest.param("Reserveringen", marks=pytest.mark.long),
        pytest.param("Bestellingen", marks=pytest.mark.long),
    ],
)
def test_a_page_of_the_dashboard_is_as_accessible_as_streamlit_allows(
    open_shop: OpenShop, customer: Customer, owner: Page, name: str
):
    product = f"Koffiezetapparaatonderdelen op {name}"
    add_product(open_shop.database, name=product)
    for _ in range(2):
        customer.take(product)
        session_id = customer.check_out()
        open_shop.stripe.pay(session_id)
    customer.take(product)
    customer.check_out()

    owner.get_by_role("link", name=name, exact=True).click()
    expect(owner.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(owner.get_by_role("main").locator("table").first).to_be_attached()

    found = violations(owner)
    assert {rule: found[rule] for rule in found if rule not in OF_STREAMLIT} == {}
