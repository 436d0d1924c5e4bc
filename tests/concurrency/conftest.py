"""A storefront for the tests that need a real one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.emulator import EmulatorServer
from tests.storefront_server import StorefrontServer

OpenStorefront = Callable[..., StorefrontServer]


@pytest.fixture
def postgres_url(fresh_postgres_url: str) -> str:
    """Give a database whose deadlocks are counted from 0."""
    return fresh_postgres_url


@pytest.fixture
def open_storefront(
    database_url: str, stripe: EmulatorServer, tmp_path: Path
) -> Iterator[OpenStorefront]:
    """Give a way to start storefronts on the test's database; they end with it."""
    with ExitStack() as running:

        def start(**settings: str) -> StorefrontServer:
            server = StorefrontServer(
                database_url, stripe, tmp_path / "data", **settings
            )
            return running.enter_context(server)

        yield start


@pytest.fixture
def storefront(open_storefront: OpenStorefront) -> StorefrontServer:
    """Give one whose holds outlast the test."""
    return open_storefront()


@pytest.fixture
def silent_stripe(stripe: EmulatorServer) -> EmulatorServer:
    """Give a Stripe that tells nothing by itself: the shop has to ask."""
    stripe.webhooks("drop")
    return stripe
