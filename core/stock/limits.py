"""
Limits against hoarding: what one visitor and one network may hold, and how soon again.

Counting and reserving cannot be passed together: SQLite has one writer at a time, and
on PostgreSQL take_turn lets one checkout of a network after the other. So it comes
first in the transaction, before any row. `docs/security.md` has the reasons for the
numbers.

All functions are rules: they work in the caller's transaction and never commit.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.config import Limits
from core.database.engine import is_postgresql
from core.database.locks import NETWORK_KEY
from core.errors import TooManyHoldsError
from core.models.base import Base, table
from core.models.catalogue import Product
from core.models.checkout import CONFIRMED, Checkout
from core.models.limits import (
    NETWORK,
    SHARE,
    UNPAID,
    VISITOR,
    CheckoutTry,
    RefusedCheckout,
)
from core.models.stock import StockReservation

# Of fewer units than this a network may hold a third, of more the configured share.
FEW_UNITS = 10
# Two of the last units are no hoard: a couple buys a pair.
ALWAYS_ALLOWED = 2
# A single unit is always allowed while more than this are left for others.
PLENTY = 10
# The first wait after too many holds that were not paid; each further one doubles it.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=2)
# Several people share a network, and each order that is paid forgives two that are not.
NETWORK_TIMES = 2
FORGIVEN_BY_AN_ORDER = 2
# How long ended holds, tries and refusals are remembered with their network.
MEMORY = timedelta(days=1)
FORGET_AT_ONCE = 1_000

_checkout = table(Checkout)
_product = table(Product)
_reservation = table(StockReservation)
# Written out, so that PostgreSQL knows that the partial index has these rows.
_is_pending = literal_column("checkout.status") == literal_column("'PENDING'")
_is_remembered = (
    _checkout.c.closed_at.is_not(None)
    & (_checkout.c.network != literal_column("''"))
)  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """Who asks for what: a visitor in a *network* that is counted, and their cart."""

    visitor: str
    network: str
    cart: Mapping[int, int]

    @property
    def own_page(self) -> ColumnElement[bool]:
        """The visitor's open page, which a new one replaces: it is in nobody's way."""
        return (_checkout.c.visitor == self.visitor) & ~_checkout.c.awaits_payment


def take_turn(session: Session, network: str) -> None:
    """Wait until no other checkout of *network* is being reserved, and be the next."""
    if is_postgresql(session):
        number = zlib.crc32(network.encode()) - 2**31
        session.execute(select(func.pg_advisory_xact_lock(NETWORK_KEY, number)))


def check_visitor(session: Session, visitor: str, limits: Limits) -> None:
    """
    Raise TooManyHoldsError if *visitor* has as many holds as one may; 0 is no limit.

    The open page is left out: there is only one, and a new one replaces it. Changes
    nothing.
    """
    waiting = _is_pending & _checkout.c.awaits_payment
    own = waiting & (_checkout.c.visitor == visitor)
    _check_count(session, own, limits.holds_per_visitor, VISITOR)


def check_network(
    session: Session, asking: Asking, limits: Limits, *, now: datetime
) -> None:
    """
    Raise TooManyHoldsError if the cart would pass one of *limits*; 0 is no limit.

    Only in a network that is counted. The visitor's own open page is left out: it will
    be replaced. Changes nothing.
    """
    of_visitor = _checkout.c.visitor == asking.visitor
    of_network = _checkout.c.network == asking.network
    pending = _is_pending & (_checkout.c.network != literal_column("''"))
    others = pending & of_network & ~asking.own_page
    _check_count(session, others, limits.holds_per_address, NETWORK)
    if limits.share_per_address:
        _check_share(session, asking, others, limits.share_per_address, now)
    if limits.unpaid_holds:
        _check_unpaid(session, of_visitor, limits.unpaid_holds, now)
        free = NETWORK_TIMES * limits.unpaid_holds
        _check_unpaid(session, of_network, free, now)


def _check_count(
    session: Session, holds: ColumnElement[bool], most: int, reason: str
) -> None:
    if not most:
        return
    query = select(func.count(), func.min(_checkout.c.expires_at)).where(holds)
    count, until = session.execute(query).one()
    if count >= most:
        raise TooManyHoldsError(reason, until)


def _check_share(
    session: Session,
    asking: Asking,
    others: ColumnElement[bool],
    percent: int,
    now: datetime,
) -> None:
    """Refuse what would leave one network with too large a share of a product."""
    held = (
        select(
            _reservation.c.product_id,
            func.sum(_reservation.c.quantity).label("units"),
            func.min(_checkout.c.expires_at).label("until"),
        )
        .join(_checkout, _checkout.c.id == _reservation.c.checkout_id)
        .where(others, _reservation.c.product_id.in_(asking.cart))
        .group_by(_reservation.c.product_id)
        .subquery()
    )
    query = (
        select(_product.c.id, _product.c.stock, _product.c.reserved, held.c.units)
        .add_columns(held.c.until)
        .outerjoin(held, held.c.product_id == _product.c.id)
        .where(_product.c.id.in_(asking.cart))
        .order_by(_product.c.id)
    )
    refused: dict[int, datetime] = {}
    for product_id, stock, reserved, units, until in session.execute(query):
        quantity = asking.cart[product_id]
        is_one_of_plenty = quantity == 1 and stock - reserved > PLENTY
        if not is_one_of_plenty and (units or 0) + quantity > share(stock, percent):
            refused[product_id] = until or now + FIRST_WAIT
    if refused:
        raise TooManyHoldsError(SHARE, min(refused.values()), list(refused))


def share(stock: int, percent: int) -> int:
    """Return how many of *stock* units one network may hold at a time."""
    part = stock * percent // 100 if stock >= FEW_UNITS else -(-stock // 3)
    return max(ALWAYS_ALLOWED, part)


def _check_unpaid(
    session: Session, whose: ColumnElement[bool], free: int, now: datetime
) -> None:
    """Let those wait whose holds ended unpaid, longer after each."""
    unpaid, ended_at = _checkout.c.is_unpaid, _checkout.c.closed_at
    query = select(
        func.count().filter(unpaid),
        func.count().filter(_checkout.c.status == CONFIRMED),
        func.max(ended_at).filter(unpaid),
    ).where(_is_remembered, whose, ended_at > now - MEMORY)
    count, paid, last = session.execute(query).one()
    too_many = count - free - FORGIVEN_BY_AN_ORDER * paid
    if too_many < 0 or last is None:
        return
    # 2**7 minutes are more than the longest wait.
    until = last + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(too_many, 7))
    if until > now:
        raise TooManyHoldsError(UNPAID, until)


def count_try(session: Session, network: str, *, now: datetime) -> int:
    """Count a try to check out; return how many *network* made in this minute."""
    minute = now.replace(second=0, microsecond=0)
    key = {"network": network, "minute": minute}
    return _count(session, CheckoutTry, key, "tries", {})


def note_refusal(session: Session, network: str, reason: str, *, now: datetime) -> None:
    """Note for the owner that *network* was refused; a row for each hour and reason."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    key = {"network": network, "hour": hour, "reason": reason}
    _count(session, RefusedCheckout, key, "times", {"last_at": now})


def _count(
    session: Session,
    model: type[Base],
    key: Mapping[str, object],
    counter: str,
    more: Mapping[str, object],
) -> int:
    insert: Any = postgresql.insert if is_postgresql(session) else sqlite.insert
    column = table(model).c[counter]
    counted = (
        insert(table(model))
        .values({**key, **more, counter: 1})
        .on_conflict_do_update(
            index_elements=list(key), set_={**more, counter: column + 1}
        )
        .returning(column)
    )
    return int(session.scalars(counted).one())


def forget(session: Session, *, now: datetime) -> bool:
    """
    Forget the networks of what ended MEMORY ago; tell whether there may be more.

    Safe to repeat and from several places at once: FORGET_AT_ONCE rows at a time.
    """
    before = now - MEMORY
    old = (
        select(_checkout.c.id)
        .where(_is_remembered, _checkout.c.closed_at <= before)
        .order_by(_checkout.c.id)
        .limit(FORGET_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    forgotten = session.execute(
        update(_checkout)
        .where(_checkout.c.id.in_(select(old.c.id)))
        .values(network="")
        .returning(_checkout.c.id)
    ).all()
    for rows, since in ((CheckoutTry, "minute"), (RefusedCheckout, "hour")):
        session.execute(delete(table(rows)).where(table(rows).c[since] <= before))
    return len(forgotten) == FORGET_AT_ONCE
