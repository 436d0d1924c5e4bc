"""
Reserve, attach, prolong, end, take again; to confirm, see `orders`.

The rule is the WHERE of a statement; no row back means refused. The hot statements are
in `postgres` and `sqlite`.

All functions are rules: they work in the caller's transaction and never commit. Those
called a single statement are one on PostgreSQL (Database.write_single).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core import records
from core.database.engine import Executor, LostRaceError
from core.database.rows import change, view_of
from core.errors import (
    CartError,
    EmptyCartError,
    InsufficientStockError,
    InvalidQuantityError,
    ProductNotFoundError,
    ShopError,
    Shortage,
)
from core.models.base import table
from core.models.catalogue import Product
from core.models.checkout import CANCELLED, CUSTOMER, EXPIRED, PENDING, Checkout
from core.models.stock import StockReservation
from core.stock.statements import statements_for

# Stripe takes no more lines than this in one session.
MOST_LINES = 100
MOST_UNITS = 1_000_000

_checkout = table(Checkout)
_product = table(Product)
_reservation = table(StockReservation)

_available = _product.c.stock - _product.c.reserved


@dataclass(frozen=True)
class Terms:
    """
    What a checkout is made with besides its cart; fixed at reserve, never changed.

    *expires_at* ends the hold here, *stripe_expires_at* is the backstop at Stripe.
    *notice* is the sentence that Stripe's page shows above its button; *offer_id* names
    what else that page offers (StoredOffer). *network* is "" if it is not counted;
    *held_since* is None unless the page replaces one of the same visitor. A hold of
    *kind* OWNER never gets a page, and ends without Stripe being asked.
    """

    visitor: str
    network: str
    locale: str
    notice: str
    idempotency_key: str
    expires_at: datetime
    stripe_expires_at: datetime
    offer_id: int | None = None
    held_since: datetime | None = None
    kind: str = CUSTOMER


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
    Reserve every line of *cart*, as sum_cart returns it, or none. A single statement.

    Raises InsufficientStockError with every short line and what is available of it,
    ProductNotFoundError or CartError; then nothing was reserved. Not safe to repeat:
    each call is a checkout of its own.
    """
    fixed = {**vars(terms), "created_at": now}
    rows = statements_for(session).reserve(session, cart, fixed)
    if not rows:
        # Without a reason the units came back in this very moment.
        raise refusal(session, cart) or LostRaceError()
    lines = sorted(rows, key=lambda row: row[1])
    return Reserved(rows[0][0], tuple(ReservedLine(*line[1:]) for line in lines))


def refusal(
    session: Executor, cart: Mapping[int, int], *, held: Mapping[int, int] | None = None
) -> ShopError | None:
    """
    Say why *cart* cannot be reserved as things are; None if it can.

    Units that the visitor has *held* so far count as available.
    """
    rows = session.execute(
        select(_product.c.id, _available, _product.c.currency).where(
            _product.c.id.in_(cart), _product.c.is_listed
        )
    ).all()
    available = {row[0]: row[1] + (held or {}).get(row[0], 0) for row in rows}
    if unknown := sorted(cart.keys() - available.keys()):
        return ProductNotFoundError(unknown)
    shortages = [
        Shortage(product_id, quantity, available[product_id])
        for product_id, quantity in sorted(cart.items())
        if available[product_id] < quantity
    ]
    if shortages:
        return InsufficientStockError(shortages)
    if len({row[2] for row in rows}) > 1:
        return CartError("products in more than one currency")
    return None


def reserved(session: Session, checkout_id: int) -> tuple[Terms, Reserved]:
    """Return what a checkout was made with, and what it has reserved."""
    checkout = session.get_one(Checkout, checkout_id)
    rows = session.scalars(
        select(StockReservation)
        .where(StockReservation.checkout_id == checkout_id)
        .order_by(StockReservation.product_id)
    )
    lines = [view_of(ReservedLine, row, name=row.product_name) for row in rows]
    return view_of(Terms, checkout), Reserved(checkout_id, tuple(lines))


def attach(
    session: Executor, checkout_id: int, stripe_session_id: str, *, now: datetime
) -> bool:
    """
    Note the Stripe session of a PENDING checkout; safe to repeat with the same one.

    Returns False if the checkout has ended meanwhile or has another session. A single
    statement.
    """
    values = {"stripe_session_id": stripe_session_id, "now": now}
    return statements_for(session).attach(session, checkout_id, values)


def prolong(
    session: Session, checkout_id: int, until: datetime, *, now: datetime
) -> bool:
    """
    Keep the hold of a completed but still unpaid checkout *until* then.

    Safe to repeat: the first time is kept as a step. Returns False if it has ended.
    """
    pending = (_checkout.c.id == checkout_id) & (_checkout.c.status == PENDING)
    first = pending & ~_checkout.c.awaits_payment
    if change(session, Checkout, first, awaits_payment=True):
        cause = "completed, a delayed payment is on its way"
        records.add_step(session, checkout_id, "PROLONGED", cause=cause, now=now)
    if not change(session, Checkout, pending, expires_at=until):
        return False
    lines = _reservation.c.checkout_id == checkout_id
    change(session, StockReservation, lines, expires_at=until)
    return True


@dataclass(frozen=True)
class Closed:
    """
    How a hold ends: EXPIRED when its time is up, CANCELLED on purpose, and why.

    *is_unpaid* if the customer let it end: too many of those make the next one wait.
    """

    status: str
    cause: str
    is_unpaid: bool = False


def end(session: Executor, checkout_id: int, closed: Closed, *, now: datetime) -> bool:
    """
    Expire or cancel a hold and release its units, once. A single statement.

    Only after Stripe has said that nobody can pay any more. Safe to repeat: returns
    False and changes nothing unless the checkout was PENDING.
    """
    values = {**vars(closed), "now": now}
    return statements_for(session).end(session, checkout_id, values)


def end_all(
    session: Executor, checkout_ids: Collection[int], closed: Closed, *, now: datetime
) -> list[int]:
    """
    End many holds at once and return the ids of those that this call has ended.

    A single statement: units are summed by product. A checkout that somebody else is
    changing right now is skipped (PostgreSQL). Otherwise like end.
    """
    values = {**vars(closed), "now": now}
    return statements_for(session).end_all(session, checkout_ids, values)


def take_ended(session: Session, checkout_id: int) -> bool:
    """
    Take the row of an EXPIRED or CANCELLED checkout until the end of the transaction.

    Of two messages about one late payment the second waits here for what the first
    decides. Returns False if the checkout has not ended so.
    """
    has_ended = _checkout.c.status.in_((EXPIRED, CANCELLED))
    which = (_checkout.c.id == checkout_id) & has_ended
    return change(session, Checkout, which, retry_at=None) is not None


def retake(session: Session, checkout_id: int, *, now: datetime) -> bool:
    """
    Take the units of an ended checkout again, all lines or none.

    Only after take_ended, and only to be sold in the same transaction; how it had ended
    is kept as a step. Returns False and changes nothing if any line is short now.
    """
    with session.begin_nested() as savepoint:
        lines = session.execute(
            update(_reservation)
            .where(_reservation.c.checkout_id == checkout_id)
            .values(status=PENDING)
            .returning(_reservation.c.product_id, _reservation.c.quantity)
        )
        for product_id, quantity in sorted(lines.all()):
            is_free = (_product.c.id == product_id) & (_available >= quantity)
            more = _product.c.reserved + quantity
            if not change(session, Product, is_free, reserved=more):
                savepoint.rollback()
                return False
        of_checkout = _checkout.c.id == checkout_id
        how = (_checkout.c.status, _checkout.c.cause, _checkout.c.closed_at)
        status, cause, at = session.execute(select(*how).where(of_checkout)).one()
        records.add_step(session, checkout_id, status, cause=cause, now=at or now)
        # awaits_payment keeps it out of the index that allows a visitor one open page:
        # they may have one again. To confirm clears it.
        change(session, Checkout, of_checkout, status=PENDING, awaits_payment=True)
    return True
