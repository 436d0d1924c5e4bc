"""Databases of the tests' own, on whichever PostgreSQL server there is."""

import uuid
from types import TracebackType
from typing import Any, Self

import psycopg
from sqlalchemy import URL, Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from core.database.engine import connect

CONNECT_SECONDS = "10"
# Not from template1, in which the server's owner may keep things; and names sort as on
# SQLite, wherever the server is at home.
PLAIN = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
# Whoever is still connected might hold what is to be deleted.
END_CONNECTIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'
"""
BEGIN_NUMBERS_ANEW = """
    SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL
"""
# Whatever is made, dropped or altered is another row of these, or a row from another
# transaction. A copy of a database has the very same rows.
SCHEMA = """
    SELECT string_agg(format('%s %s %s', kind, id, born), ',' ORDER BY kind, id, born)
    FROM (
        SELECT 'class' AS kind, oid AS id, xmin::text AS born FROM pg_class
        UNION ALL SELECT 'column', attrelid, xmin::text FROM pg_attribute
        UNION ALL SELECT 'constraint', oid, xmin::text FROM pg_constraint
        UNION ALL SELECT 'default', oid, xmin::text FROM pg_attrdef
        UNION ALL SELECT 'function', oid, xmin::text FROM pg_proc
        UNION ALL SELECT 'trigger', oid, xmin::text FROM pg_trigger
        UNION ALL SELECT 'version', 16384, xmin::text FROM alembic_version
        UNION ALL SELECT 'setting', 16384, setting.xmin::text
            FROM pg_db_role_setting AS setting
            JOIN pg_database AS own ON own.oid = setdatabase
            WHERE own.datname = current_database()
    ) AS part WHERE id >= 16384
"""


class UnusableServerError(Exception):
    """An address where the tests cannot have databases; says why."""


class OwnDatabases:
    """
    `with OwnDatabases(address) as own:` makes databases there, and drops them all.

    Each has a name that nobody else has, and no other is touched, template1 least of
    all: the schema is copied from a template of the tests' own. The database that the
    *address* names, or `postgres`, is only connected to.
    """

    def __init__(self, address: str) -> None:
        self._home = _home(address)
        self._admin = create_engine(
            self._home, isolation_level="AUTOCOMMIT", pool_pre_ping=True
        )
        self._made: list[str] = []
        self._clean: list[str] = []
        self._template, self._schema, self._delete_rows = "", "", ""

    def __enter__(self) -> Self:
        try:
            self._template = self._create(PLAIN)
        except DBAPIError as error:
            self._admin.dispose()
            raise UnusableServerError(" ".join(str(error.orig).split())) from None
        template = connect(self._address_of(self._template))
        template.migrate()
        self._delete_rows = _delete_rows(template.engine)
        template.engine.dispose()
        with self._visit(self._template) as connection:
            self._schema = _value(connection, SCHEMA)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self._made):
            self._drop(name)
        self._admin.dispose()

    def create(self) -> str:
        """Make a database with the shop's schema; return its address."""
        return self._address_of(self._create(f"TEMPLATE {self._template}"))

    def lend(self) -> str:
        """Return the address of one with the schema and without a row, new or not."""
        if not self._clean:
            return self.create()
        return self._address_of(self._clean.pop())

    def take_back(self, address: str) -> None:
        """Empty one that was lent, for the next; drop it if its schema was altered."""
        name = str(make_url(address).database)
        if self._empty(name):
            self._clean.append(name)
        else:
            self._drop(name)

    def create_like(self, address: str) -> str:
        """Make a copy of one to which nobody is connected; return its address."""
        template = make_url(address).database
        return self._address_of(self._create(f"TEMPLATE {template}"))

    def create_empty(self) -> str:
        """Make a database without a single table; return its address."""
        return self._address_of(self._create(PLAIN))

    def drop(self, address: str) -> None:
        """Drop a database that was made here, whoever is still connected to it."""
        self._drop(str(make_url(address).database))

    def _empty(self, name: str) -> bool:
        """Delete all rows; tell whether the database is then as new."""
        try:
            with self._visit(name) as connection:
                connection.execute(END_CONNECTIONS)
                connection.execute(self._delete_rows.encode())
                connection.execute(BEGIN_NUMBERS_ANEW)
                return _value(connection, SCHEMA) == self._schema
        except psycopg.Error:
            return False

    def _visit(self, name: str) -> psycopg.Connection[tuple[str]]:
        url = self._home.set(database=name)
        words: dict[str, Any] = dict(url.query)  # encryption, for example
        words |= url.translate_connect_args(database="dbname", username="user")
        return psycopg.connect(autocommit=True, **words)

    def _create(self, options: str) -> str:
        name = f"voorraad_test_{uuid.uuid4().hex}"
        with self._admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} {options}"))
        self._made.append(name)
        return name

    def _drop(self, name: str) -> None:
        self._made.remove(name)  # fails for a name that is not ours
        with self._admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    def _address_of(self, name: str) -> str:
        return self._home.set(database=name).render_as_string(hide_password=False)


def _delete_rows(engine: Engine) -> str:
    """Write the statements; TRUNCATE would take far longer for a few rows."""
    tables = inspect(engine).get_sorted_table_and_fkc_names()
    names = [name for name, _ in tables if name and name != "alembic_version"]
    return ";".join(f"DELETE FROM {name}" for name in reversed(names))  # noqa: S608


def _value(connection: psycopg.Connection[tuple[str]], query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _home(address: str) -> URL:
    try:
        home = make_url(address)
    except (ArgumentError, ValueError):
        # The address may hold a password, so it is not repeated.
        raise UnusableServerError("is no database address") from None
    if home.drivername not in ("postgresql", "postgresql+psycopg"):
        raise UnusableServerError("is no address of a PostgreSQL server")
    if "connect_timeout" not in home.query:
        home = home.update_query_dict({"connect_timeout": CONNECT_SECONDS})
    return home.set(
        drivername="postgresql+psycopg", database=home.database or "postgres"
    )
