"""
Reserve, confirm, cancel and expire.

Invariants: 0 <= reserved <= stock for every product, and reserved is the sum of its
PENDING reservations. This is the only module that moves stock under reservations.

Every change is one conditional statement: the rule is its WHERE, and no row back means
refused. The checkout row decides for the whole cart, so a transition takes that row
first, then its reservations, then the products in ascending id: the same order
everywhere, so that nothing deadlocks and no cart is ever half EXPIRED, half CONFIRMED.

All functions are rules: they work in the caller's transaction and never commit. On
PostgreSQL those that say so are a single statement (Database.write_single).
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import Integer, bindparam, select, update
from sqlalchemy.orm import Session

from core import postgres
from core.database import Executor, LostRaceError, is_postgresql, run
from core.errors import (
    CartError,
    EmptyCartError,
    InsufficientStockError,
    InvalidQuantityError,
    ProductNotFoundError,
    ShopError,
    Shortage,
)
from core.models import (
    CANCELLED,
    CONFIRMED,
    EXPIRED,
    PENDING,
    Checkout,
    Product,
    StockReservation,
    table,
)

# Stripe takes no more lines than this in one session.
MOST_LINES = 100
MOST_UNITS = 1_000_000

MIXED_CURRENCIES = "products in more than one currency"

_checkout = table(Checkout)
_product = table(Product)
_reservation = table(StockReservation)

_available = _product.c.stock - _product.c.reserved
_units = bindparam("units", type_=Integer)
_of_product = _product.c.id == bindparam("of_product", type_=Integer)

# In the order of ReservedLine.
_PROMISED = ("product_id", "quantity", "unit_price_cents", "currency", "product_name")

_CLAIMED = ("unit_price_cents", "currency", "vat_bp", "product_name")

_INSERT_CHECKOUT = """
INSERT INTO checkout (visitor, address, locale, notice, idempotency_key, expires_at,
                      stripe_expires_at, created_at)
VALUES (:visitor, :address, :locale, :notice, :idempotency_key, :expires_at,
        :stripe_expires_at, :created_at)
RETURNING id
"""
# A quantity below 1 was refused before: it would pass this and lower reserved.
_CLAIM = """
UPDATE product SET reserved = reserved + :quantity
WHERE id = :product_id AND is_listed AND stock - reserved >= :quantity
RETURNING price_cents, currency, vat_bp, name
"""
_INSERT_LINE = """
INSERT INTO stock_reservation (checkout_id, product_id, quantity, unit_price_cents,
                               currency, vat_bp, product_name, expires_at)
VALUES (:checkout_id, :product_id, :quantity, :unit_price_cents,
        :currency, :vat_bp, :product_name, :expires_at)
"""
_ATTACH = """
UPDATE checkout SET stripe_session_id = :stripe_session_id
WHERE id = :checkout_id AND status = 'PENDING'
  AND (stripe_session_id IS NULL OR stripe_session_id = :stripe_session_id)
RETURNING id
"""
_ATTACH_LINES = """
UPDATE stock_reservation SET stripe_session_id = :stripe_session_id
WHERE checkout_id = :checkout_id
"""
_END = """
UPDATE checkout
SET status = :status, cause = :cause, closed_at = :now, awaits_payment = 0
WHERE id IN (SELECT value FROM json_each(:checkout_ids)) AND status = 'PENDING'
RETURNING id
"""
_END_LINES = """
UPDATE stock_reservation SET status = :status
WHERE checkout_id IN (SELECT value FROM json_each(:checkout_ids))
RETURNING product_id, quantity
"""
_FREE = (
    update(_product).where(_of_product).values(reserved=_product.c.reserved - _units)
)
_SELL = (
    update(_product)
    .where(_of_product)
    .values(stock=_product.c.stock - _units, reserved=_product.c.reserved - _units)
)
_SELL_FREE = (
    update(_product)
    .where(_of_product, _available >= _units)
    .values(stock=_product.c.stock - _units)
    .returning(_product.c.id)
)


@dataclass(frozen=True)
class Terms:
    """
    What a checkout is made with besides its cart; fixed at reserve, never changed.

    *expires_at* ends the hold here, *stripe_expires_at* is the backstop at Stripe.
    *notice* is the sentence that Stripe's page shows above its button.
    """

    visitor: str
    address: str
    locale: str
    notice: str
    idempotency_key: str
    expires_at: datetime
    stripe_expires_at: datetime


def sum_cart(lines: Iterable[tuple[int, object]]) -> dict[int, int]:
    """
    Add up the *lines* (product id, quantity) of one cart by product.

    Refuses an empty cart (EmptyCartError), a quantity that is not a whole number over
    0 (InvalidQuantityError) and more lines than Stripe takes (CartError).
    """
    cart: Counter[int] = Counter()
    for product_id, quantity in lines:
        # bool is an int to Python, not to a customer.
        if type(quantity) is not int or quantity < 1:
            raise InvalidQuantityError(product_id, quantity)
        cart[product_id] += quantity
        if cart[product_id] > MOST_UNITS:
            raise InvalidQuantityError(product_id, quantity, limit=MOST_UNITS)
    if not cart:
        raise EmptyCartError
    if len(cart) > MOST_LINES:
        raise CartError(f"more than {MOST_LINES} different products")
    return dict(cart)


@dataclass(frozen=True)
class ReservedLine:
    """Units of one product, with the name and price that were promised for them."""

    product_id: int
    quantity: int
    unit_price_cents: int
    currency: str
    name: str


@dataclass(frozen=True)
class Reserved:
    """A checkout that was made, and its lines in ascending product id."""

    checkout_id: int
    lines: tuple[ReservedLine, ...]


def reserve(
    session: Executor, cart: Mapping[int, int], terms: Terms, *, now: datetime
) -> Reserved:
    """
    Reserve every line of *cart* (product id to units) or none. A single statement.

    Raises InsufficientStockError with every short line and what is available of it,
    ProductNotFoundError or CartError; each rolls back whatever was reserved before. Not
    safe to repeat: each call is a checkout of its own.
    """
    fixed = {**_as_values(terms), "created_at": now}
    if not is_postgresql(session):
        return _reserve_in_turn(session, cart, fixed)
    rows = postgres.reserve(session, cart, fixed)
    if not rows:
        raise _refusal(session, cart)
    lines = sorted((ReservedLine(*row[1:]) for row in rows), key=_by_product)
    return Reserved(rows[0][0], tuple(lines))


def _as_values(terms: Terms) -> dict[str, object]:
    return {field.name: getattr(terms, field.name) for field in fields(terms)}


def _by_product(line: ReservedLine) -> int:
    return line.product_id


def _reserve_in_turn(
    session: Executor, cart: Mapping[int, int], fixed: Mapping[str, object]
) -> Reserved:
    """Reserve statement by statement: without a network that is the quickest way."""
    moments = {
        name: _as_text(value)
        for name, value in fixed.items()
        if isinstance(value, datetime)
    }
    fixed = {**fixed, **moments}
    ((checkout_id,),) = run(session, _INSERT_CHECKOUT, fixed)
    lines = []
    refused = {}
    for product_id in sorted(cart):
        line = {"product_id": product_id, "quantity": cart[product_id]}
        claimed = run(session, _CLAIM, line)
        if claimed:
            promised = dict(zip(_CLAIMED, claimed[0], strict=True))
            lines.append({**fixed, **line, **promised, "checkout_id": checkout_id})
        else:
            refused[product_id] = cart[product_id]
    if refused:
        raise _refusal(session, refused)
    if len({line["currency"] for line in lines}) > 1:
        raise CartError(MIXED_CURRENCIES)
    for line in lines:
        run(session, _INSERT_LINE, line)
    return Reserved(
        checkout_id,
        tuple(ReservedLine(*(line[name] for name in _PROMISED)) for line in lines),
    )


def _as_text(moment: datetime) -> str:
    """Return a moment as SQLite keeps it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _refusal(session: Executor, short: Mapping[int, int]) -> ShopError | LostRaceError:
    """Say why the lines of *short* could not all be claimed."""
    rows = session.execute(
        select(_product.c.id, _available, _product.c.currency).where(
            _product.c.id.in_(short), _product.c.is_listed
        )
    ).all()
    available = {row[0]: row[1] for row in rows}
    unknown = sorted(short.keys() - available.keys())
    if unknown:
        return ProductNotFoundError(unknown)
    shortages = [
        Shortage(product_id, quantity, available[product_id])
        for product_id, quantity in short.items()
        if available[product_id] < quantity
    ]
    if shortages:
        return InsufficientStockError(shortages)
    if len({row[2] for row in rows}) > 1:
        return CartError(MIXED_CURRENCIES)
    # The units came back in this very moment.
    return LostRaceError()


def reserved(session: Session, checkout_id: int) -> tuple[Terms, Reserved]:
    """Return what a checkout was made with, and what it has reserved."""
    checkout = session.get_one(Checkout, checkout_id)
    lines = session.execute(
        select(*(_reservation.c[name] for name in _PROMISED))
        .where(_reservation.c.checkout_id == checkout_id)
        .order_by(_reservation.c.product_id)
    )
    terms = Terms(
        **{field.name: getattr(checkout, field.name) for field in fields(Terms)}
    )
    return terms, Reserved(checkout_id, tuple(ReservedLine(*line) for line in lines))


def attach(session: Executor, checkout_id: int, stripe_session_id: str) -> bool:
    """
    Note the Stripe session of a PENDING checkout; safe to repeat with the same one.

    Returns False if the checkout has ended meanwhile or has another session. A single
    statement.
    """
    if is_postgresql(session):
        return bool(
            postgres.change(
                session,
                postgres.ATTACH,
                checkout_id=checkout_id,
                stripe_session_id=stripe_session_id,
            )
        )
    values = {"checkout_id": checkout_id, "stripe_session_id": stripe_session_id}
    if not run(session, _ATTACH, values):
        return False
    run(session, _ATTACH_LINES, values)
    return True


def prolong(session: Session, checkout_id: int, until: datetime) -> bool:
    """
    Keep the hold of a completed but still unpaid checkout *until* then.

    Nothing prolongs a checkout that has ended: then this returns False.
    """
    found = session.scalar(
        update(_checkout)
        .where(_checkout.c.id == checkout_id, _checkout.c.status == PENDING)
        .values(awaits_payment=True, expires_at=until)
        .returning(_checkout.c.id)
    )
    if found is None:
        return False
    session.execute(
        update(_reservation)
        .where(_reservation.c.checkout_id == checkout_id)
        .values(expires_at=until)
    )
    return True


def expire(session: Executor, checkout_id: int, *, cause: str, now: datetime) -> bool:
    """
    End a hold whose time is up and give its units back, once. A single statement.

    Only after Stripe has said that the session is closed. Safe to repeat: returns False
    and changes nothing unless the checkout was PENDING.
    """
    return _give_back(session, checkout_id, EXPIRED, cause=cause, now=now)


def cancel(session: Executor, checkout_id: int, *, cause: str, now: datetime) -> bool:
    """End a hold on purpose and give its units back, once; otherwise like expire."""
    return _give_back(session, checkout_id, CANCELLED, cause=cause, now=now)


def expire_all(
    session: Executor, checkout_ids: Collection[int], *, cause: str, now: datetime
) -> list[int]:
    """
    Expire many at once and return the ids of those that this call has ended.

    A single statement: units are summed by product. A checkout that somebody else is
    at right now is passed over (PostgreSQL). Otherwise like expire.
    """
    ended = {"status": EXPIRED, "cause": cause, "now": now}
    if is_postgresql(session):
        ids = list(checkout_ids)
        return postgres.change(
            session, postgres.GIVE_ALL_BACK, checkout_ids=ids, **ended
        )
    return _give_back_in_turn(session, checkout_ids, EXPIRED, cause=cause, now=now)


def _give_back(
    session: Executor, checkout_id: int, status: str, *, cause: str, now: datetime
) -> bool:
    if not is_postgresql(session):
        ids = [checkout_id]
        return bool(_give_back_in_turn(session, ids, status, cause=cause, now=now))
    return bool(
        postgres.change(
            session,
            postgres.GIVE_BACK,
            checkout_id=checkout_id,
            status=status,
            cause=cause,
            now=now,
        )
    )


def _give_back_in_turn(
    session: Executor,
    checkout_ids: Collection[int],
    status: str,
    *,
    cause: str,
    now: datetime,
) -> list[int]:
    ended = _take_rows(session, checkout_ids, status, cause=cause, now=now)
    if ended:
        session.execute(_FREE, _close_lines(session, ended, status))
    return ended


def confirm(session: Executor, checkout_id: int, *, now: datetime) -> bool:
    """
    Turn the PENDING reservations of a paid checkout into sold units.

    Stock and reserved fall together, so nothing is checked: the units are counted. The
    caller writes order and movements in the same transaction. Safe to repeat: returns
    False and changes nothing unless the checkout was PENDING. On SQLite; PostgreSQL
    does it in one statement with the order (postgres.SELL).
    """
    sold = _take_rows(session, [checkout_id], CONFIRMED, cause="paid", now=now)
    if sold:
        session.execute(_SELL, _close_lines(session, sold, CONFIRMED))
    return bool(sold)


def take_ended(session: Session, checkout_id: int) -> bool:
    """
    Take the row of an EXPIRED or CANCELLED checkout until the end of the transaction.

    Of two messages about one late payment the second waits here for what the first
    decides. Returns False if the checkout has not ended so.
    """
    ended = session.scalar(
        update(_checkout)
        .where(
            _checkout.c.id == checkout_id, _checkout.c.status.in_((EXPIRED, CANCELLED))
        )
        .values(retry_at=None)
        .returning(_checkout.c.id)
    )
    return ended is not None


def confirm_late(session: Session, checkout_id: int, *, now: datetime) -> bool:
    """
    Take the units of an ended checkout again and sell them, all lines or none.

    Only after take_ended. Returns False and changes nothing if any line is short now.
    """
    savepoint = session.begin_nested()
    lines = session.execute(
        update(_reservation)
        .where(_reservation.c.checkout_id == checkout_id)
        .values(status=CONFIRMED)
        .returning(_reservation.c.product_id, _reservation.c.quantity)
    )
    for product_id, quantity in sorted(lines.all()):
        line = {"of_product": product_id, "units": quantity}
        if session.scalar(_SELL_FREE, line) is None:
            savepoint.rollback()
            return False
    session.execute(
        update(_checkout)
        .where(_checkout.c.id == checkout_id)
        .values(status=CONFIRMED, cause="paid late, units taken again", closed_at=now)
    )
    savepoint.commit()
    return True


def _take_rows(
    session: Executor,
    checkout_ids: Collection[int],
    status: str,
    *,
    cause: str,
    now: datetime,
) -> list[int]:
    """Whoever gets the row decides how the checkout ends."""
    values = {
        "checkout_ids": json.dumps(list(checkout_ids)),
        "status": status,
        "cause": cause,
        "now": _as_text(now),
    }
    return [row[0] for row in run(session, _END, values)]


def _close_lines(
    session: Executor, checkout_ids: Collection[int], status: str
) -> list[dict[str, int]]:
    """Set the status of all lines; return their units, summed and sorted by product."""
    values = {"checkout_ids": json.dumps(list(checkout_ids)), "status": status}
    units: Counter[int] = Counter()
    for product_id, quantity in run(session, _END_LINES, values):
        units[product_id] += quantity
    return [{"of_product": key, "units": units[key]} for key in sorted(units)]
