"""Databases as an operator has them: empty ones, and some behind a pooler."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests import pgbouncer
from tests.own_databases import OwnDatabases

# Far fewer than there are clients, so that these must share.
CONNECTIONS = 4


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/empty.db"


@pytest.fixture
def empty_postgres_url(own_databases: OwnDatabases) -> Iterator[str]:
    address = own_databases.create_empty()
    yield address
    own_databases.drop(address)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest) -> str:
    """Give the address of a database without a single table, on each in turn."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture(scope="session")
def local_databases(postgres_server: str) -> Iterator[OwnDatabases]:
    """Give databases on a server that PgBouncer reaches without further ado."""
    with OwnDatabases(postgres_server) as own:
        yield own


@pytest.fixture(scope="session")
def pooler_port(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    if pgbouncer.program() is None:
        if os.environ.get("CI"):
            pytest.fail("there is no PgBouncer, and CI must have one")
        pytest.skip("there is no PgBouncer; Debian's package is called pgbouncer")
    folder = tmp_path_factory.mktemp("pgbouncer")
    with pgbouncer.pooler(folder, postgres_server, connections=CONNECTIONS) as port:
        yield port


@pytest.fixture
def pooled_url(local_databases: OwnDatabases, pooler_port: int) -> Iterator[str]:
    """Give the address, through PgBouncer, of a new database with the schema."""
    address = local_databases.create()
    yield through(pooler_port, address)
    local_databases.drop(address)


@pytest.fixture
def empty_pooled_url(local_databases: OwnDatabases, pooler_port: int) -> Iterator[str]:
    address = local_databases.create_empty()
    yield through(pooler_port, address)
    local_databases.drop(address)


def through(port: int, address: str) -> str:
    return make_url(address).set(port=port).render_as_string(hide_password=False)
