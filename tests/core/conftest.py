"""An order, a mail server, and a shop that sends its letters to that."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from core.database.engine import Database
from core.orders.views import OrderView
from core.payments import pace
from core.shop import Shop
from tests.core.mailing import with_server
from tests.core.money_back import order_in
from tests.factories import add_product, sold
from tests.smtp import MailServer


@pytest.fixture(autouse=True)
def _at_any_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask Stripe for one thing after the other at once."""
    monkeypatch.setattr(pace, "CALLS_PER_SECOND", 10_000)


@pytest.fixture
def order(database: Database, now: datetime) -> OrderView:
    """Give an order of 1250 cents, paid by pi_1."""
    sold(database, {add_product(database): 1}, now)
    return order_in(database)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def mailing(shop: Shop, server: MailServer) -> Shop:
    """Give a shop that sends its letters to *server*."""
    return with_server(shop, server.settings())


@pytest.fixture
def aside(server: MailServer) -> Iterator[ThreadPoolExecutor]:
    """Give threads for senders that *server* holds, until the test is over."""
    with ThreadPoolExecutor(2) as threads:
        yield threads
        server.release_all()
