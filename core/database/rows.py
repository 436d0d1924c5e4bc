"""Rows: inserted once, and read into the dataclasses of the read sides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.database.engine import is_postgresql
from core.models.base import Base, table

V = TypeVar("V")


def view_of(kind: Callable[..., V], row: Base, **more: object) -> V:
    """Fill a view from the columns of the same names."""
    names = _fields_of(kind)
    return kind(
        **{name: getattr(row, name) for name in names if name not in more}, **more
    )


@cache
def _fields_of(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def insert_once(
    session: Session, model: type[Base], values: Mapping[str, object]
) -> Any:
    """Insert a row and return its id; None if its unique key is there already."""
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    rows = table(model)
    inserted = insert(rows).values(**values).on_conflict_do_nothing()
    return session.scalar(inserted.returning(rows.c.id))


def change(
    session: Session,
    model: type[Base],
    which: ColumnElement[bool],
    *,
    returning: Sequence[str] = ("id",),
    **values: object,
) -> Row[*tuple[Any, ...]] | None:
    """
    Change the rows that *which* selects; return the first, with columns *returning*.

    The rule is *which*, the WHERE clause: None means that no row fits, so refused.
    Objects that the session has loaded are not updated.
    """
    rows = table(model)
    columns = [rows.c[name] for name in returning]
    changed = update(rows).where(which).values(**values).returning(*columns)
    return session.execute(changed).first()
