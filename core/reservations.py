"""
Reserve, confirm, cancel and expire.

Invariants: 0 <= reserved <= stock for every product, and reserved is the sum of its
PENDING reservations. This is the only module that moves stock under reservations.

Every change is one conditional statement: the rule is its WHERE, and no row back means
refused. The checkout row decides for the whole cart, so a transition takes that row
first, then its reservations, then the products in ascending id: the same order
everywhere, so that nothing deadlocks and no cart is ever half EXPIRED, half CONFIRMED.

All functions are rules: they work in the caller's transaction and never commit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from core.errors import (
    CartError,
    EmptyCartError,
    InsufficientStockError,
    InvalidQuantityError,
    ProductNotFoundError,
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
)

# Stripe takes no more lines than this in one session.
MOST_LINES = 100
MOST_UNITS = 1_000_000


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


def reserve(
    session: Session, cart: Mapping[int, int], terms: Terms, *, now: datetime
) -> int:
    """
    Reserve every line of *cart* (product id to units) or none; return the checkout id.

    Raises InsufficientStockError with every short line and what is available of it, or
    ProductNotFoundError; either rolls back whatever was reserved before. Not safe to
    repeat: each call is a checkout of its own.
    """
    checkout_id: int = session.execute(
        insert(Checkout)
        .values(
            visitor=terms.visitor,
            address=terms.address,
            locale=terms.locale,
            notice=terms.notice,
            idempotency_key=terms.idempotency_key,
            expires_at=terms.expires_at,
            stripe_expires_at=terms.stripe_expires_at,
            created_at=now,
        )
        .returning(Checkout.id)
    ).scalar_one()
    claimed = {
        product_id: _claim(session, product_id, cart[product_id])
        for product_id in sorted(cart)
    }
    products = [product for product in claimed.values() if product]
    if len(products) < len(cart):
        raise _refusal(session, {key: cart[key] for key in claimed if not claimed[key]})
    if len({product.currency for product in products}) > 1:
        raise CartError("products in more than one currency")
    session.execute(
        insert(StockReservation),
        [
            {
                "checkout_id": checkout_id,
                "product_id": product.id,
                "quantity": cart[product.id],
                "unit_price_cents": product.price_cents,
                "currency": product.currency,
                "vat_bp": product.vat_bp,
                "product_name": product.name,
                "expires_at": terms.expires_at,
            }
            for product in products
        ],
    )
    return checkout_id


@dataclass(frozen=True)
class _Claimed:
    id: int
    name: str
    price_cents: int
    currency: str
    vat_bp: int


def _claim(session: Session, product_id: int, quantity: int) -> _Claimed | None:
    # A quantity below 1 was refused before: it would pass this and lower reserved.
    row = session.execute(
        update(Product)
        .where(
            Product.id == product_id,
            Product.is_listed,
            Product.stock - Product.reserved >= quantity,
        )
        .values(reserved=Product.reserved + quantity)
        .returning(
            Product.id,
            Product.name,
            Product.price_cents,
            Product.currency,
            Product.vat_bp,
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    return _Claimed(*row) if row else None


def _refusal(
    session: Session, short: Mapping[int, int]
) -> InsufficientStockError | ProductNotFoundError:
    """Say why the lines of *short* could not be claimed."""
    rows = session.execute(
        select(Product.id, Product.stock - Product.reserved).where(
            Product.id.in_(short), Product.is_listed
        )
    )
    available = {row[0]: row[1] for row in rows}
    unknown = sorted(short.keys() - available.keys())
    if unknown:
        return ProductNotFoundError(unknown)
    return InsufficientStockError(
        [
            # Units may have come back since the claim was refused: still, fewer than
            # requested were there when it was decided.
            Shortage(product_id, quantity, min(available[product_id], quantity - 1))
            for product_id, quantity in short.items()
        ]
    )


def attach(session: Session, checkout_id: int, stripe_session_id: str) -> bool:
    """
    Note the Stripe session of a PENDING checkout; safe to repeat with the same one.

    Returns False if the checkout has ended meanwhile or has another session.
    """
    found = session.scalar(
        update(Checkout)
        .where(
            Checkout.id == checkout_id,
            Checkout.status == PENDING,
            or_(
                Checkout.stripe_session_id.is_(None),
                Checkout.stripe_session_id == stripe_session_id,
            ),
        )
        .values(stripe_session_id=stripe_session_id)
        .returning(Checkout.id)
    )
    if found is None:
        return False
    session.execute(
        update(StockReservation)
        .where(StockReservation.checkout_id == checkout_id)
        .values(stripe_session_id=stripe_session_id)
    )
    return True


def prolong(session: Session, checkout_id: int, until: datetime) -> bool:
    """
    Keep the hold of a completed but still unpaid checkout *until* then.

    Nothing prolongs a checkout that has ended: then this returns False.
    """
    found = session.scalar(
        update(Checkout)
        .where(Checkout.id == checkout_id, Checkout.status == PENDING)
        .values(awaits_payment=True, expires_at=until)
        .returning(Checkout.id)
    )
    if found is None:
        return False
    session.execute(
        update(StockReservation)
        .where(
            StockReservation.checkout_id == checkout_id,
            StockReservation.status == PENDING,
        )
        .values(expires_at=until)
    )
    return True


def expire(session: Session, checkout_id: int, *, cause: str, now: datetime) -> bool:
    """
    End a hold whose time is up and give its units back, once.

    Only after Stripe has said that the session is closed. Safe to repeat: returns False
    and changes nothing unless the checkout was PENDING.
    """
    return _give_back(session, checkout_id, EXPIRED, cause=cause, now=now)


def cancel(session: Session, checkout_id: int, *, cause: str, now: datetime) -> bool:
    """End a hold on purpose and give its units back, once; otherwise like expire."""
    return _give_back(session, checkout_id, CANCELLED, cause=cause, now=now)


def _give_back(
    session: Session, checkout_id: int, status: str, *, cause: str, now: datetime
) -> bool:
    if not _take_row(session, checkout_id, status, cause=cause, now=now):
        return False
    for product_id, quantity in _close_lines(session, checkout_id, status):
        session.execute(
            update(Product)
            .where(Product.id == product_id)
            .values(reserved=Product.reserved - quantity)
        )
    return True


def confirm(session: Session, checkout_id: int, *, now: datetime) -> bool:
    """
    Turn the PENDING reservations of a paid checkout into sold units.

    Stock and reserved fall together, so nothing is checked: the units are counted. The
    caller writes order and movements in the same transaction. Safe to repeat: returns
    False and changes nothing unless the checkout was PENDING.
    """
    if not _take_row(session, checkout_id, CONFIRMED, cause="paid", now=now):
        return False
    for product_id, quantity in _close_lines(session, checkout_id, CONFIRMED):
        session.execute(
            update(Product)
            .where(Product.id == product_id)
            .values(
                stock=Product.stock - quantity, reserved=Product.reserved - quantity
            )
        )
    return True


def take_ended(session: Session, checkout_id: int) -> bool:
    """
    Take the row of an EXPIRED or CANCELLED checkout until the end of the transaction.

    Of two messages about one late payment the second waits here for what the first
    decides. Returns False if the checkout has not ended so.
    """
    ended = session.scalar(
        update(Checkout)
        .where(Checkout.id == checkout_id, Checkout.status.in_((EXPIRED, CANCELLED)))
        .values(retry_at=None)
        .returning(Checkout.id)
    )
    return ended is not None


def confirm_late(session: Session, checkout_id: int, *, now: datetime) -> bool:
    """
    Take the units of an ended checkout again and sell them, all lines or none.

    Only after take_ended. Returns False and changes nothing if any line is short now.
    """
    savepoint = session.begin_nested()
    for product_id, quantity in _close_lines(session, checkout_id, CONFIRMED):
        taken = session.scalar(
            update(Product)
            .where(
                Product.id == product_id, Product.stock - Product.reserved >= quantity
            )
            .values(stock=Product.stock - quantity)
            .returning(Product.id)
            .execution_options(synchronize_session=False)
        )
        if taken is None:
            savepoint.rollback()
            return False
    session.execute(
        update(Checkout)
        .where(Checkout.id == checkout_id)
        .values(status=CONFIRMED, cause="paid late, units taken again", closed_at=now)
    )
    savepoint.commit()
    return True


def _take_row(
    session: Session, checkout_id: int, status: str, *, cause: str, now: datetime
) -> bool:
    """Whoever gets the row decides how the checkout ends."""
    return (
        session.scalar(
            update(Checkout)
            .where(Checkout.id == checkout_id, Checkout.status == PENDING)
            .values(status=status, cause=cause, closed_at=now, awaits_payment=False)
            .returning(Checkout.id)
        )
        is not None
    )


def _close_lines(
    session: Session, checkout_id: int, status: str
) -> list[tuple[int, int]]:
    """Set the status of all lines; return them as (product id, units), sorted."""
    rows = session.execute(
        update(StockReservation)
        .where(StockReservation.checkout_id == checkout_id)
        .values(status=status)
        .returning(StockReservation.product_id, StockReservation.quantity)
        .execution_options(synchronize_session=False)
    )
    return sorted((product_id, quantity) for product_id, quantity in rows)
