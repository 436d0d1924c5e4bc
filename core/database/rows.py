"""Rows: inserted once, and read into the dataclasses of the read sides."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.database.engine import is_postgresql
from core.models.base import Base, table

V = TypeVar("V")


def view_of(kind: type[V], row: Base, **more: object) -> V:
    """Fill a view from the columns of the same names."""
    names = {each.name for each in fields(kind)} - more.keys()  # type: ignore[arg-type]  # all views are dataclasses
    return kind(**{name: getattr(row, name) for name in names}, **more)


def insert_once(
    session: Session, model: type[Base], values: Mapping[str, object]
) -> Any:
    """Insert a row and return its id; None if its unique key is there already."""
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    rows = table(model)
    inserted = insert(rows).values(**values).on_conflict_do_nothing()
    return session.scalar(inserted.returning(rows.c.id))
