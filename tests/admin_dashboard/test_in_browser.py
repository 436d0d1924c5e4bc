"""The owner at work in a real browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from admin_dashboard.login.logins import LOGGED_OUT
from core.clock import utcnow
from core.owner import reports
from tests.admin_dashboard import situations
from tests.admin_dashboard.conftest import EMAIL, Dashboard
from tests.factories import add_product, reserved

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECONDS = 1000


def title_of(page: Page, name: str):
    return page.get_by_role("heading", name=name, exact=True)


def open_page(page: Page, name: str) -> None:
    page.get_by_role("link", name=name).click()
    expect(title_of(page, name)).to_be_visible(timeout=20 * SECONDS)


def test_a_hold_appears_and_vanishes_without_a_reload(
    dashboard: Dashboard, owner_page: Page
):
    mug = add_product(dashboard.database, stock_units=5, name="Kop *van* klei")
    open_page(owner_page, "Reserveringen")
    expect(owner_page.get_by_text("Er is nu niets gereserveerd")).to_be_visible()
    owner_page.evaluate("window.isTheSamePage = true")
    cell = owner_page.get_by_role("cell", name="Kop *van* klei", exact=True)

    checkout_id = reserved(dashboard.database, {mug: 2}, utcnow())
    expect(cell).to_be_visible(timeout=15 * SECONDS)
    situations.ended(dashboard.database, checkout_id)
    expect(cell).to_have_count(0, timeout=15 * SECONDS)

    expect(owner_page.get_by_text("Er is nu niets gereserveerd")).to_be_visible()
    assert owner_page.evaluate("window.isTheSamePage") is True


# Streamlit's own captions and navigation; nothing of ours can change them.
OF_STREAMLIT = {"color-contrast", "list", "listitem"}


def violations(page: Page) -> set[str]:
    return {
        found["id"]
        for found in Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
    }


def test_the_login_is_usable_by_everybody(dashboard: Dashboard, page: Page):
    page.goto(dashboard.address)

    assert violations(page) == set()


PAGES = ["Overzicht", "Te doen", "Reserveringen", "Bestellingen", "Post"]


@pytest.mark.parametrize(
    "name",
    [PAGES[0], *(pytest.param(name, marks=pytest.mark.long) for name in PAGES[1:])],
)
def test_the_pages_are_usable_by_everybody(
    dashboard: Dashboard, owner_page: Page, name: str
):
    mug = add_product(dashboard.database, price_cents=100)
    situations.sold(dashboard.database, {mug: 1}, amount_cents=100)
    open_page(owner_page, name)

    assert violations(owner_page) - OF_STREAMLIT == set()


def test_the_order_that_was_on_the_screen_is_opened(
    dashboard: Dashboard, owner_page: Page
):
    mug = add_product(dashboard.database, price_cents=100, name="Kop")
    situations.sold(dashboard.database, {mug: 1}, amount_cents=100, name="Anna")
    number = last_order(dashboard)
    open_page(owner_page, "Bestellingen")
    table = owner_page.get_by_test_id("stDataFrame").first
    expect(table.get_by_test_id("data-grid-canvas")).to_be_visible()
    # Until the server would read the orders anew for a click, but not for a refresh.
    owner_page.wait_for_timeout(2 * SECONDS + 200)
    situations.sold(dashboard.database, {mug: 1}, amount_cents=100, name="Ben")

    box = table.bounding_box()
    assert box
    owner_page.mouse.click(box["x"] + 15, box["y"] + 35 + 17)

    expect(title_of(owner_page, f"Bestelling {number}")).to_be_visible(
        timeout=20 * SECONDS
    )
    expect(owner_page.get_by_text("Anna").first).to_be_visible()


def last_order(dashboard: Dashboard) -> int:
    with dashboard.database.read() as session:
        return max(order.number for order in reports.orders(session))


def test_a_reload_keeps_the_login(owner_page: Page):
    owner_page.reload()

    expect(title_of(owner_page, "Overzicht")).to_be_visible(timeout=30 * SECONDS)


def test_nothing_is_fetched_from_elsewhere_and_no_script_fails(
    dashboard: Dashboard, page: Page, request: pytest.FixtureRequest
):
    foreign: list[str] = []
    errors: list[str] = []
    own = (dashboard.address, "data:", "blob:")
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(own) else foreign.append(asked.url),
    )
    page.on(
        "console",
        lambda line: errors.append(line.text) if line.type == "error" else None,
    )
    add_product(dashboard.database, name="Kop")
    owner_page: Page = request.getfixturevalue("owner_page")

    for name in (*PAGES[1:], "Overzicht"):
        open_page(owner_page, name)
    expect(owner_page.get_by_test_id("stVegaLiteChart")).to_be_visible()

    assert (foreign, errors) == ([], [])


def test_the_export_holds_the_figures(dashboard: Dashboard, owner_page: Page):
    add_product(dashboard.database, stock_units=7, name="Vaas voor de export")
    owner_page.get_by_label("Zoek een product").fill("voor de export")
    owner_page.keyboard.press("Enter")
    # The cells of this table are drawn; their text is there for screen readers alone.
    cell = owner_page.get_by_role(
        "gridcell", name="Vaas voor de export", include_hidden=True
    )
    expect(cell).to_have_count(1, timeout=15 * SECONDS)

    with owner_page.expect_download() as download:
        owner_page.get_by_role("button", name="Exporteer als CSV").click()
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()

    assert lines[0] == "Product;SKU;Voorraad;Gereserveerd;Beschikbaar"
    assert [line.split(";")[2:] for line in lines[1:]] == [["7", "0", "7"]]


def test_an_open_page_says_that_its_login_has_ended(
    dashboard: Dashboard, owner_page: Page
):
    dashboard.add_owner(EMAIL, "een-nieuw-wachtwoord")

    expect(owner_page.get_by_text(LOGGED_OUT)).to_be_visible(timeout=30 * SECONDS)
    owner_page.reload()
    expect(title_of(owner_page, "Inloggen")).to_be_visible()


def test_the_owner_logs_out(dashboard: Dashboard, owner_page: Page):
    owner_page.get_by_role("link", name="Uitloggen").click()
    owner_page.get_by_role("button", name="Uitloggen").click()
    expect(title_of(owner_page, "Inloggen")).to_be_visible()

    owner_page.goto(f"{dashboard.address}/orders")

    expect(title_of(owner_page, "Inloggen")).to_be_visible()
