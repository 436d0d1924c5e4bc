"""A customer with a browser, in a shop whose doors are open."""

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    WebError,
    expect,
)

from core.database.engine import Database
from core.orders.views import OrderView
from core.owner import reports
from tests.emulator import EmulatorServer

REFUSED = re.compile(r"the server responded with a status of (4\d\d)")


@dataclass(frozen=True)
class OpenShop:
    """A storefront on a database of its own, and the Stripe that it asks."""

    url: str
    database_url: str
    folder: Path
    database: Database
    stripe: EmulatorServer

    def orders_of(self, product: str) -> list[OrderView]:
        with self.database.read() as session:
            return reports.orders(session, text=product)


class Customer:
    """
    Somebody with a browser of his own, and what that browser complained of.

    A refusal is no complaint when the test *expected* its status.
    """

    def __init__(self, context: BrowserContext, shop: OpenShop) -> None:
        self.shop = shop
        self.expected: set[str] = set()
        self.complaints: list[str] = []
        self.foreign_requests: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        self.page: Page = context.new_page()

    def _on_console(self, message: ConsoleMessage) -> None:
        refused = REFUSED.search(message.text)
        if message.type != "error" or (refused and refused[1] in self.expected):
            return
        self.complaints.append(f"{message.location.get('url')}: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.complaints.append(str(error.error))

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.foreign_requests.append(request.url)

    def expects(self, *statuses: int) -> None:
        self.expected.update(map(str, statuses))

    def visit(self, path: str = "/") -> None:
        self.page.goto(self.shop.url + path)

    def card(self, product: str) -> Locator:
        """Return a product's place on the shelf of the page with all products."""
        link = self.page.get_by_role("link", name=product, exact=True)
        return self.page.get_by_role("listitem").filter(has=link)

    def open_product(self, product: str) -> None:
        self.visit()
        self.page.get_by_role("link", name=product, exact=True).click()

    def take(self, product: str, *, units: int = 1) -> None:
        """Put units of a product into the cart."""
        self.open_product(product)
        self.page.get_by_label("Aantal").fill(str(units))
        self.page.get_by_role("button", name="In winkelwagen").click()
        expect(self.heading("Je winkelwagen")).to_be_visible()

    def press_check_out(self) -> None:
        self.page.get_by_role("button", name="Afrekenen").click()

    def check_out(self) -> str:
        """Go from the cart to Stripe's page; return the session's id."""
        self.press_check_out()
        return self.session_id()

    def continue_to_payment(self) -> None:
        """Go back to the page that is still open at Stripe."""
        self.visit("/cart")
        self.page.get_by_role("link", name="Verder met betalen").click()
        self.session_id()

    def session_id(self) -> str:
        page = re.compile(re.escape(self.shop.stripe.url) + "/c/pay/(cs_[^/?#]+)")
        expect(self.page).to_have_url(page)
        found = page.match(self.page.url)
        assert found
        return found[1]

    def pay(self, method: str = "Kaart") -> None:
        """Fill in Stripe's page and press its button."""
        self.page.get_by_label("Naam", exact=True).fill("Test Tester")
        self.page.get_by_label("E-mail", exact=True).fill("test@example.com")
        self.page.get_by_label(method).check()
        self.page.get_by_role("button", name=re.compile("^Betalen")).click()

    def turn_back(self) -> None:
        """Leave Stripe's page by its way back to the shop."""
        self.page.get_by_role("link", name="Terug naar de winkel").click()

    def heading(self, text: str) -> Locator:
        return self.page.get_by_role("heading", name=text, exact=True)

    def sees_paid(self) -> None:
        expect(self.heading("Bedankt, je bestelling is betaald")).to_be_visible()
