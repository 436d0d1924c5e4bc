"""Views: what a reader is shown of a row."""

from dataclasses import fields
from typing import TypeVar

from core.models.base import Base

V = TypeVar("V")


def view_of(kind: type[V], row: Base, **more: object) -> V:
    """Fill a view from the columns of the same names."""
    names = {each.name for each in fields(kind)} - more.keys()  # type: ignore[arg-type]  # all views are dataclasses
    return kind(**{name: getattr(row, name) for name in names}, **more)
