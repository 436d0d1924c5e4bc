"""
The schema: made by the migrations alone, on both databases.

Alembic is imported where a migration runs: it costs a seventh of every start.
"""

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, inspect, select, text

from core.database.locks import MIGRATION_KEY

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = resources.files("core.database") / "migrations"


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date, in the caller's transaction; safe to repeat."""
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_KEY)))
    command.upgrade(alembic_config(connection), "head")


def is_current(connection: Connection) -> bool:
    """Tell whether the schema is the one that this program was written for."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return bool(revision == newest_revision())


@cache
def newest_revision() -> str:
    """Return the number of the last migration; each file's name begins with its own."""
    names = (file.name for file in (MIGRATIONS / "versions").iterdir())
    return max(name.partition("_")[0] for name in names if name[0].isdigit())


def alembic_config(connection: Connection | None = None) -> "Config":
    """Return the settings of the migrations, to be run on *connection*."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
