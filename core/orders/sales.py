"""
What every day has brought, summed once when it is over.

Summing all orders would cost more each year. So past days are kept as sums, and only
later orders are summed anew. Days are summed in order: the sums are complete up to the
last day that has one. A sale writes nothing here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from sqlalchemy import (
    ColumnElement,
    Date,
    bindparam,
    cast,
    func,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from core.database.engine import Database, is_postgresql
from core.models.base import UtcDateTime
from core.models.orders import Order, SalesDay

ONE_DAY = timedelta(days=1)
# An order has the time when its transaction began; it is committed long before this.
SETTLED_AFTER = timedelta(hours=1)
# A shop's first sums may be years of days; the sweep must not wait for all of them.
DAYS_AT_ONCE = 100

# A day has the same sums whenever it is summed, so it may be summed twice, also by two
# processes at once.
_SUM_UP = text(
    "INSERT INTO sales_day (day, currency, orders, amount_cents)"
    " SELECT :day, currency, count(*), sum(amount_cents) FROM orders"
    " WHERE created_at >= :start AND created_at < :end GROUP BY currency"
    " ON CONFLICT (day, currency) DO UPDATE"
    " SET orders = excluded.orders, amount_cents = excluded.amount_cents"
).bindparams(
    bindparam("day", type_=Date()),
    bindparam("start", type_=UtcDateTime()),
    bindparam("end", type_=UtcDateTime()),
)


@dataclass(frozen=True)
class Drift:
    """A day whose *kept* sums are not those *found*; each is (orders, cents)."""

    day: date
    currency: str
    kept: tuple[int, int]
    found: tuple[int, int]


def total(session: Session) -> tuple[int, int]:
    """Return the number of all orders and their sum in cents."""
    last, orders, cents = session.execute(
        select(
            func.max(SalesDay.day),
            func.coalesce(func.sum(SalesDay.orders), 0),
            func.coalesce(func.sum(SalesDay.amount_cents), 0),
        )
    ).one()
    later = select(func.count(), func.coalesce(func.sum(Order.amount_cents), 0))
    if last is not None:
        later = later.where(Order.created_at >= _start(last + ONE_DAY))
    more_orders, more_cents = session.execute(later.select_from(Order)).one()
    return int(orders) + more_orders, int(cents) + int(more_cents)


def roll_up(database: Database, *, now: datetime) -> int:
    """
    Sum up days that are over, oldest first and DAYS_AT_ONCE at most; return the number.

    Safe to repeat and to run anywhere at once.
    """
    for done in range(DAYS_AT_ONCE):
        with database.read() as session:
            day = _next_day(session, now)
        if day is None:
            return done
        database.write_single(partial(_sum_up, day=day))
    return DAYS_AT_ONCE


def drift(session: Session) -> Iterator[Drift]:
    """Yield the days whose kept sums differ from the orders, in one statement."""
    day = _utc_day_of_order(session)
    none = literal(0)
    sides = union_all(
        select(
            SalesDay.day.label("day"),
            SalesDay.currency.label("currency"),
            SalesDay.orders.label("kept_orders"),
            SalesDay.amount_cents.label("kept_cents"),
            none.label("orders"),
            none.label("cents"),
        ),
        select(
            day, Order.currency, none, none, func.count(), func.sum(Order.amount_cents)
        )
        .where(day <= select(func.max(SalesDay.day)).scalar_subquery())
        .group_by(day, Order.currency),
    ).subquery()
    key, numbers = sides.c[:2], [func.sum(column) for column in sides.c[2:]]
    differ = (numbers[0] != numbers[2]) | (numbers[1] != numbers[3])
    query = select(*key, *numbers).group_by(*key).having(differ).order_by(*key)
    for day, currency, *sums in session.execute(query):
        kept_orders, kept_cents, orders, cents = map(int, sums)
        yield Drift(day, currency, (kept_orders, kept_cents), (orders, cents))


def _utc_day_of_order(session: Session) -> ColumnElement[date]:
    """Return the day (UTC) of an order; each database has its own way to get it."""
    if is_postgresql(session):
        return cast(func.timezone(text("'UTC'"), Order.created_at), Date)
    return func.date(Order.created_at, type_=Date)


def sum_again(session: Session, day: date) -> None:
    """Set a day's sums to those of its orders; safe to repeat."""
    session.execute(
        update(SalesDay).where(SalesDay.day == day).values(orders=0, amount_cents=0)
    )
    _sum_up(session, day)


def _sum_up(session: Session, day: date) -> None:
    session.execute(
        _SUM_UP, {"day": day, "start": _start(day), "end": _start(day + ONE_DAY)}
    )


def _next_day(session: Session, now: datetime) -> date | None:
    """Return the first day with orders that is over and has no sums."""
    last = session.scalar(select(func.max(SalesDay.day)))
    first = select(func.min(Order.created_at))
    if last is not None:
        first = first.where(Order.created_at >= _start(last + ONE_DAY))
    moment = session.scalar(first)
    if moment is None or _start(moment.date() + ONE_DAY) + SETTLED_AFTER > now:
        return None
    return moment.date()


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
