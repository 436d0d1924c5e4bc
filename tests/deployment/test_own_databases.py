"""That the tests leave a PostgreSQL server of somebody else's as it was."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from core.database.engine import connect
from tests import postgres
from tests.factories import add_product
from tests.own_databases import OwnDatabases, UnusableServerError
from tests.programs import ROOT

PASSWORD = "p@ss:w/rd %41"
A_TEST = (
    "tests/core/database/test_engine.py::test_migrating_again_changes_nothing[postgres]"
)
RUN_SECONDS = 60

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@dataclass(frozen=True)
class Lent:
    """Somebody's server: with a password, and databases that are nobody's business."""

    admin: psycopg.Connection[Any]
    address: str

    def contents(self) -> list[Any]:
        rows = self.admin.execute("SELECT oid, datname FROM pg_database ORDER BY oid")
        return rows.fetchall()

    def visits(self) -> int:
        """Count the connections that were made to the database that *address* names."""
        row = self.admin.execute(
            "SELECT sessions FROM pg_stat_database WHERE datname = 'home'"
        ).fetchone()
        return int(row[0]) if row else 0

    def as_user(self, name: str, **parts: Any) -> str:
        url = make_url(self.address).set(username=name, **parts)
        return url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def lent(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lent]:
    with (
        postgres.quick_folder(tmp_path_factory.mktemp("lent")) as folder,
        postgres.server(folder / "data") as address,
        psycopg.connect(f"{address}/postgres".replace("+psycopg", "")) as admin,
    ):
        admin.autocommit = True
        for role, rights in (("tester", "CREATEDB"), ("reader", "NOCREATEDB")):
            admin.execute(f"CREATE ROLE {role} LOGIN {rights} PASSWORD '{PASSWORD}'")
        admin.execute("CREATE DATABASE home OWNER tester")
        (folder / "data" / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\n"
            "host all all 127.0.0.1/32 scram-sha-256\n"
        )
        admin.execute("SELECT pg_reload_conf()")
        url = make_url(address).set(
            username="tester", password=PASSWORD, database="home"
        )
        yield Lent(admin, url.render_as_string(hide_password=False))


def run_a_test(address: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "TEST_DATABASE_URL": address, **variables}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", A_TEST],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def test_a_run_of_the_tests_leaves_the_server_as_it_was(lent: Lent) -> None:
    contents, visits = lent.contents(), lent.visits()

    # This server has no encryption: whatever heeds the variable cannot connect.
    result = run_a_test(lent.address, PGSSLMODE="require")

    assert "1 passed" in result.stdout, result.stdout
    assert lent.contents() == contents
    assert lent.visits() > visits


def test_a_run_on_a_server_that_cannot_be_used_fails_and_says_so(lent: Lent) -> None:
    result = run_a_test(lent.as_user("reader"))

    assert result.returncode == 1
    said = result.stdout + result.stderr
    assert "TEST_DATABASE_URL: permission denied to create database" in said
    assert "1 passed" not in said
    assert "p%40ss" not in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"password": "wrong"}, "password authentication failed"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"port": 1}, "refused"),
        ({"drivername": "sqlite"}, "no address of a PostgreSQL server"),
    ],
)
def test_a_server_that_cannot_be_used_is_refused_with_the_reason(
    lent: Lent, parts: dict[str, Any], reason: str
) -> None:
    address = lent.as_user("tester", **parts)

    with pytest.raises(UnusableServerError, match=reason), OwnDatabases(address):
        pass


def test_words_that_are_no_address_are_refused() -> None:
    with pytest.raises(UnusableServerError, match="no database address"):
        OwnDatabases("postgres at home")


def test_only_a_database_of_ones_own_is_dropped(lent: Lent) -> None:
    contents = lent.contents()

    with OwnDatabases(lent.address) as own, pytest.raises(ValueError, match="not in"):
        own.drop(lent.address)

    assert lent.contents() == contents


def direct(address: str) -> psycopg.Connection[Any]:
    words = make_url(address).translate_connect_args(database="dbname", username="user")
    return psycopg.connect(autocommit=True, **words)


def tables(address: str) -> list[Any]:
    """Return the rows of all tables, and the number that the next product would get."""
    with direct(address) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace ORDER BY relname"
        ).fetchall()
        rows = [
            connection.execute(f"SELECT * FROM {name}".encode()).fetchall()  # noqa: S608
            for (name,) in names
        ]
        row = connection.execute("SELECT nextval('product_id_seq')").fetchone()
    return [*zip(names, rows, strict=True), row]


def test_a_database_that_is_lent_again_is_as_a_new_one(lent: Lent) -> None:
    with OwnDatabases(lent.address) as own:
        first = own.lend()
        left_open = connect(first)
        add_product(left_open)
        own.take_back(first)

        again = own.lend()

        assert again == first
        assert tables(again) == tables(own.create())
        left_open.engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (id int)",
        "DROP TABLE offer",
        "ALTER TABLE product DROP COLUMN vendor",
        "ALTER TABLE product ALTER COLUMN vendor DROP NOT NULL",
        "DROP INDEX ix_checkout_due",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_a_database_whose_schema_was_changed_is_not_lent_again(
    lent: Lent, change: str
) -> None:
    with OwnDatabases(lent.address) as own:
        first = own.lend()
        with direct(first) as admin:
            admin.execute(change.encode())
        own.take_back(first)

        again = own.lend()

        assert again != first
        assert tables(again) == tables(own.create())


def test_a_database_is_dropped_although_somebody_is_still_connected(lent: Lent) -> None:
    contents = lent.contents()

    with OwnDatabases(lent.address) as own:
        left_open = connect(own.create())
        assert left_open.is_migrated()

    assert lent.contents() == contents
    left_open.engine.dispose()
