"""The owner gives money and goods back in a real browser."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from playwright.sync_api import Locator, Page, expect

from core.database.engine import Database
from core.models.orders import FULFILLED
from core.owner import case, reports
from core.refunds import views as refund_views
from tests.admin_dashboard import situations
from tests.admin_dashboard.conftest import EMAIL, Dashboard
from tests.admin_dashboard.test_in_browser import OF_STREAMLIT, violations
from tests.factories import add_product, assert_invariants, eventually, levels

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECONDS = 1000


@pytest.fixture
def mug(dashboard: Dashboard) -> int:
    return add_product(
        dashboard.database, stock_units=5, price_cents=1295, name="Kop uit de browser"
    )


@pytest.fixture
def number(dashboard: Dashboard, mug: int) -> int:
    """Sell two mugs; give the order's number."""
    checkout_id = situations.sold(dashboard.database, {mug: 2}, amount_cents=2590)
    return situations.order_of(dashboard.database, checkout_id).number


def open_order(page: Page, dashboard: Dashboard, number: int) -> None:
    page.goto(f"{dashboard.address}/order?order={number}")
    title = page.get_by_role("heading", name=f"Bestelling {number}", exact=True)
    expect(title).to_be_visible(timeout=30 * SECONDS)


def test_an_order_and_its_window_are_usable_by_everybody(
    dashboard: Dashboard, owner_page: Page, number: int
):
    open_order(owner_page, dashboard, number)
    on_the_page = violations(owner_page)
    owner_page.get_by_role("button", name="Terugbetalen").click()
    expect(owner_page.get_by_role("dialog").get_by_label("Bedrag")).to_be_visible()
    in_the_window = violations(owner_page)
    asked_in_window(owner_page, "12,95")
    expect(owner_page.get_by_role("button", name="Ja, betaal")).to_be_visible()

    assert on_the_page - OF_STREAMLIT == set()
    assert in_the_window - OF_STREAMLIT == set()
    assert violations(owner_page) - OF_STREAMLIT == set()


def refunds_of(database: Database, number: int) -> list[tuple[int, str]]:
    with database.read() as session:
        found = refund_views.refunds(session)
    return [
        (refund.amount_cents, refund.who)
        for refund in found
        if refund.order_id == number
    ]


def asked(page: Page, amount: str) -> Locator:
    """Fill the window in, one unit to come back; return the button that says yes."""
    page.get_by_role("button", name="Terugbetalen").click()
    return asked_in_window(page, amount)


def asked_in_window(page: Page, amount: str) -> Locator:
    window = page.get_by_role("dialog")
    window.get_by_label("Bedrag").fill(amount)
    window.get_by_label("Kop uit de browser").fill("1")
    window.get_by_role("button", name="Verder").click()
    return window.get_by_role("button", name="Ja, betaal")


def test_a_double_click_gives_money_and_goods_back_once(
    dashboard: Dashboard, owner_page: Page, number: int, mug: int
):
    open_order(owner_page, dashboard, number)
    yes = asked(owner_page, "12,95")
    expect(yes).to_be_visible(timeout=15 * SECONDS)

    # As long as somebody else writes, the first click waits, and the second behind it.
    with writing(dashboard.database):
        yes.dblclick()
        yes.click()

    done = owner_page.get_by_text("gaat terug: de winkel vraagt het")
    expect(done).to_be_visible(timeout=15 * SECONDS)
    expect(owner_page.get_by_role("dialog")).to_have_count(0)
    assert refunds_of(dashboard.database, number) == [(1295, EMAIL)]
    assert levels(dashboard.database, mug) == (4, 0)
    assert_invariants(dashboard.database)


@contextmanager
def writing(database: Database) -> Iterator[None]:
    """Keep every other writer of the database waiting."""
    path = str(database.engine.url.database)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_page_that_is_open_tells_what_becomes_of_a_refund(
    dashboard: Dashboard, owner_page: Page, number: int
):
    open_order(owner_page, dashboard, number)
    sums = owner_page.get_by_role("table").nth(1)
    expect(sums).to_contain_text("€\N{NO-BREAK SPACE}25,90")
    expect(sums).not_to_contain_text("Terugbeta")
    owner_page.evaluate("window.isThisVisit = true")

    situations.refund_failed(dashboard.database, number, amount_cents=500)
    again = owner_page.get_by_role("button", name="Opnieuw proberen")
    expect(again).to_be_visible(timeout=15 * SECONDS)
    situations.stripe_says(
        dashboard.database,
        number,
        "succeeded",
        amount_cents=100,
        refund_id="re_by_hand",
    )
    expect(sums).to_contain_text("Terugbetaald", timeout=15 * SECONDS)

    assert owner_page.evaluate("window.isThisVisit")


def test_what_is_being_typed_stays_when_something_happens_meanwhile(
    dashboard: Dashboard, owner_page: Page, number: int
):
    open_order(owner_page, dashboard, number)
    owner_page.get_by_role("button", name="Terugbetalen").click()
    field = owner_page.get_by_role("dialog").get_by_label("Bedrag")
    field.fill("5,00")

    situations.stripe_says(dashboard.database, number, "succeeded", amount_cents=100)
    told = owner_page.locator("h2", has_text="Terugbetalingen")
    expect(told).to_be_attached(timeout=15 * SECONDS)

    expect(field).to_have_value("5,00")


def test_a_failed_refund_is_tried_again_from_the_list(
    dashboard: Dashboard, owner_page: Page, number: int, mug: int
):
    other = situations.sold(dashboard.database, {mug: 1}, amount_cents=1295)
    situations.refund_failed(dashboard.database, number, amount_cents=500)
    owner_page.goto(f"{dashboard.address}/orders")

    owner_page.get_by_role("button", name="Opnieuw proberen").first.click()

    window = owner_page.get_by_role("dialog")
    expect(window).to_contain_text(f"bestelling {number}", timeout=15 * SECONDS)
    owner_page.keyboard.press("Escape")
    expect(window).to_have_count(0)
    open_order(
        owner_page, dashboard, situations.order_of(dashboard.database, other).number
    )
    expect(window).to_have_count(0)


def test_a_window_that_is_closed_gives_nothing_back(
    dashboard: Dashboard, owner_page: Page, number: int
):
    open_order(owner_page, dashboard, number)
    expect(asked(owner_page, "5")).to_be_visible(timeout=15 * SECONDS)

    owner_page.keyboard.press("Escape")
    expect(owner_page.get_by_role("dialog")).to_have_count(0)
    owner_page.get_by_role("button", name="Verzonden").click()

    eventually(lambda: status_of(dashboard.database, number) == FULFILLED)
    expect(owner_page.get_by_role("dialog")).to_have_count(0)
    assert refunds_of(dashboard.database, number) == []


def status_of(database: Database, number: int) -> str:
    with database.read() as session:
        [order] = reports.orders(session, text=f"#{number}")
    return order.status


def test_an_order_is_opened_from_the_list(
    dashboard: Dashboard, owner_page: Page, number: int
):
    owner_page.goto(f"{dashboard.address}/orders")
    owner_page.get_by_label("Zoek een bestelling").fill(f"#{number}")
    owner_page.keyboard.press("Enter")
    cell = owner_page.get_by_role("gridcell", name=str(number), include_hidden=True)
    expect(cell.first).to_be_attached(timeout=15 * SECONDS)
    # A table of other rows takes the place of the first: a click on that would be lost.
    rows = owner_page.get_by_test_id("stDataFrame").first.get_by_role(
        "row", include_hidden=True
    )
    expect(rows).to_have_count(2, timeout=15 * SECONDS)
    box = owner_page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box

    # The table is drawn: its first column has the boxes, below the head.
    owner_page.mouse.click(box["x"] + 18, box["y"] + 35 + 18)

    title = owner_page.get_by_role("heading", name=f"Bestelling {number}", exact=True)
    expect(title).to_be_visible(timeout=15 * SECONDS)
    assert owner_page.url.endswith(f"/order?order={number}")


def test_the_history_of_an_order_is_exported(
    dashboard: Dashboard, owner_page: Page, number: int
):
    open_order(owner_page, dashboard, number)

    with owner_page.expect_download() as download:
        owner_page.get_by_role("button", name="Exporteer als CSV").click()
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()

    assert lines[0] == "Wanneer;Wat;Waarom;Wie;Bedrag;Bij Stripe"
    assert [line.split(";")[1] for line in lines[1:]] == [
        "Goederen gereserveerd",
        "Reservering werd een verkoop",
        "Bestelling betaald",
    ]
    assert lines[3].endswith(f"pi_{checkout_of(dashboard.database, number)}")


def checkout_of(database: Database, number: int) -> int:
    with database.read() as session:
        found = case.of_order(session, number)
    assert found
    return found.checkout_id
