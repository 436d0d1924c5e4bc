"""A copy of a SQLite shop in a file."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from core.database.engine import Database
from core.errors import CopyError


def back_up(database: Database, path: Path) -> None:
    """
    Copy a SQLite shop, running or not, to *path* as it is at this moment.

    The file appears whole or not at all. Raises CopyError on PostgreSQL, and if
    *path* exists: a backup overwrites nothing.
    """
    if not database.is_sqlite:
        raise CopyError("on PostgreSQL use pg_dump")
    if path.exists():
        raise CopyError(f"{path} is there already")
    draft = path.with_name(f".{path.name}.part")
    address = f"file:{quote(str(database.engine.url.database))}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True)) as source,
        closing(sqlite3.connect(draft)) as copy,
    ):
        source.backup(copy)
    shutil.move(draft, path)
