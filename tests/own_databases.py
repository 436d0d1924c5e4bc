"""Databases of the tests' own, on whichever PostgreSQL server there is."""

import uuid
from types import TracebackType
from typing import Self

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from core.database.engine import connect

CONNECT_SECONDS = "10"
# Not from template1, in which the server's owner may keep things; and names sort as on
# SQLite, wherever the server is at home.
PLAIN = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"


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
        self._template = ""

    def __enter__(self) -> Self:
        try:
            self._template = self._create(PLAIN)
        except DBAPIError as error:
            self._admin.dispose()
            raise UnusableServerError(" ".join(str(error.orig).split())) from None
        template = connect(self._address_of(self._template))
        template.migrate()
        template.engine.dispose()
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

    def create_empty(self) -> str:
        """Make a database without a single table; return its address."""
        return self._address_of(self._create(PLAIN))

    def drop(self, address: str) -> None:
        """Drop a database that was made here, whoever is still connected to it."""
        self._drop(str(make_url(address).database))

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
