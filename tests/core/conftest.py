"""A mail server, and a shop that sends its letters to it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.shop import Shop
from tests.core.mailing import with_server
from tests.smtp import MailServer


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
