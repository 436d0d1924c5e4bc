"""What all tables share: column types, names of constraints, and the Base."""

from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column

# SQLite numbers rows by itself only for a column of type INTEGER.
Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# A sum of money may be more than an INTEGER of PostgreSQL holds.
Cents = Annotated[int, mapped_column(sa.BigInteger)]


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An aware UTC datetime on every database; a naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: sa.Dialect
    ) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self, value: datetime | None, dialect: sa.Dialect
    ) -> datetime | None:
        if value is None:
            return None
        return (
            value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        )


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it as it is)
        datetime: UtcDateTime(),
        str: sa.Text(),
    }


class Numbered(Base):
    __abstract__ = True

    id: Mapped[int] = mapped_column(Id, primary_key=True, sort_order=-1)


def table(model: type[Base]) -> sa.Table:
    """Return the table of a model: quicker where no object is needed."""
    return Base.metadata.tables[model.__tablename__]


def one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    """Return a CHECK that *column* holds one of *values*."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def contains(text: str, *columns: InstrumentedAttribute[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that *text* is in one of *columns*, in either case."""
    return sa.or_(*(column.icontains(text, autoescape=True) for column in columns))


def index_where(
    condition: str, name: str, *columns: str, unique: bool = False
) -> sa.Index:
    """Return an index of only the rows where *condition* is true."""
    which = sa.text(condition)
    return sa.Index(
        name, *columns, unique=unique, postgresql_where=which, sqlite_where=which
    )
