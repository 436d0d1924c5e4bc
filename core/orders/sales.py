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

import sqlalchemy as sa
from sqlalchemy import bindparam, func, literal, select
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
_SUM_UP = sa.text(
    "INSERT INTO sales_day (day, currency, orders, amount_cents)"
    " SELECT :day, currency, count(*), sum(amount_cents) FROM orders"
    " WHERE created_at >= :start AND created_at < :end GROUP BY currency"
    " ON CONFLICT (day, currency) DO UPDATE"
    " SET orders = excluded.orders, amount_cents = excluded.amount_cents"
).bindparams(
    bindparam("day", type_=sa.Date()),
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
    sums = func.sum(SalesDay.orders), func.sum(SalesDay.amount_cents)
    kept = select(func.max(SalesDay.day), *sums)
    last, orders, cents = session.execute(kept).one()
    later = select(func.count(), func.sum(Order.amount_cents)).where(_is_after(last))
    more_orders, more_cents = session.execute(later).one()
    return int(orders or 0) + more_orders, int(cents or 0) + int(more_cents or 0)


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
    kept = SalesDay.orders, SalesDay.amount_cents
    found = func.count(), func.sum(Order.amount_cents)
    none = literal(0).label("orders_found"), literal(0).label("cents_found")
    sides = sa.union_all(
        select(SalesDay.day, SalesDay.currency, *kept, *none),
        select(day, Order.currency, *none, *found)
        .where(day <= select(func.max(SalesDay.day)).scalar_subquery())
        .group_by(day, Order.currency),
    ).subquery()
    key, numbers = sides.c[:2], [func.sum(column) for column in sides.c[2:]]
    differ = (numbers[0] != numbers[2]) | (numbers[1] != numbers[3])
    query = select(*key, *numbers).group_by(*key).having(differ).order_by(*key)
    for day, currency, *sums in session.execute(query):
        kept_orders, kept_cents, orders, cents = map(int, sums)
        yield Drift(day, currency, (kept_orders, kept_cents), (orders, cents))


def _utc_day_of_order(session: Session) -> sa.ColumnElement[date]:
    """Return the day (UTC) of an order; each database has its own way to get it."""
    if is_postgresql(session):
        return sa.cast(func.timezone(sa.text("'UTC'"), Order.created_at), sa.Date)
    return func.date(Order.created_at, type_=sa.Date)


def sum_again(session: Session, day: date) -> None:
    """Set a day's sums to those of its orders; safe to repeat."""
    session.execute(
        sa.update(SalesDay).where(SalesDay.day == day).values(orders=0, amount_cents=0)
    )
    _sum_up(session, day)


def _sum_up(session: Session, day: date) -> None:
    session.execute(
        _SUM_UP, {"day": day, "start": _start(day), "end": _start(day + ONE_DAY)}
    )


def _next_day(session: Session, now: datetime) -> date | None:
    """Return the first day with orders that is over and has no sums."""
    last = session.scalar(select(func.max(SalesDay.day)))
    moment = session.scalar(select(func.min(Order.created_at)).where(_is_after(last)))
    if moment is None or _start(moment.date() + ONE_DAY) + SETTLED_AFTER > now:
        return None
    return moment.date()


def _is_after(day: date | None) -> sa.ColumnElement[bool]:
    """Return the condition that an order came after *day*; if that is None, any did."""
    return Order.created_at >= _start(day + ONE_DAY) if day else sa.true()


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
