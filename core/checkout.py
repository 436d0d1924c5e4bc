"""
From a cart to a payment page, and back when the customer cancels.

Reserve and commit, then ask Stripe for the session: there is no payment page without
committed reservations, and no transaction is held across the call.
"""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import reservations, settlement
from core.config import Limits
from core.errors import (
    BusyError,
    EarlierPaidError,
    HoldEndedError,
    InsufficientStockError,
    InvalidQuantityError,
    PaymentError,
    PaymentUnavailableError,
    ProductNotFoundError,
    Shortage,
    TooManyHoldsError,
)
from core.models import CANCELLED, PENDING, Checkout, Product, StockReservation
from core.payments import PaymentSession, epoch
from core.reservations import Terms
from core.settlement import Ending
from core.shop import Shop

logger = logging.getLogger(__name__)

# Stripe refuses a session that ends within 30 minutes by its own clock; what is over 30
# is all the time that a second try of the same request has.
STRIPE_LEAST = timedelta(minutes=34)
STRIPE_AFTER_HOLD = timedelta(minutes=4)
TRIES = 3
# A shopper waits no longer than about this for overdue holds to be ended.
RECLAIM_SECONDS = 10
# Nothing more is begun after this. Each step is bounded, so that a Stripe that hangs is
# given up on within 45 seconds.
PATIENCE_SECONDS = 12


@dataclass(frozen=True)
class Visitor:
    """Who asks: the session cookie's id, the network address and the language."""

    id: str
    address: str
    locale: str


@dataclass(frozen=True)
class PaymentPage:
    """A checkout that can be paid at *url* until *expires_at*."""

    checkout_id: int
    stripe_session_id: str
    url: str
    expires_at: datetime


def begin(
    shop: Shop,
    cart: Mapping[int, int],
    *,
    visitor: Visitor,
    notice: Callable[[datetime], str] = lambda _deadline: "",
    unless_paid: bool = False,
) -> PaymentPage:
    """
    Reserve *cart* (product id to units) and return the page where it can be paid.

    A hold that the visitor still has is ended first: nobody is blocked by himself, and
    he never has two pages that can be paid. If it turns out to be paid, its order
    stands, and with *unless_paid* that is all (EarlierPaidError). *notice* makes the
    sentence about the deadline for Stripe's page.

    Raises InsufficientStockError, ProductNotFoundError, CartError and TooManyHoldsError
    with nothing reserved, PaymentError when Stripe refused, and PaymentUnavailableError
    when it did not answer: then the units are safe until the deadline. Not safe to
    repeat: each call is a checkout of its own.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    for _ in range(TRIES):
        _refuse_early(shop, cart, visitor)
        paid = _end_own_holds(shop, visitor)
        if paid is not None and unless_paid:
            raise EarlierPaidError(paid)
        _check_patience(give_up)
        try:
            checkout_id, expires_at = _reserve(shop, cart, visitor, notice)
            break
        except IntegrityError:
            # Another tab of the same visitor was faster: its hold is the one to end.
            logger.info("visitor %s checks out twice at once", visitor.id)
    else:
        raise BusyError
    try:
        _check_patience(give_up)
    except PaymentUnavailableError:
        _take_back(shop, checkout_id, cause="Stripe was too slow")
        raise
    page = _make_page(shop, checkout_id)
    return PaymentPage(checkout_id, page.id, page.url or "", expires_at)


def _check_patience(give_up: float) -> None:
    """A browser waits for an answer: after so long nothing more is begun."""
    if time.monotonic() > give_up:
        raise PaymentUnavailableError("Stripe takes too long to answer")


def _refuse_early(shop: Shop, cart: Mapping[int, int], visitor: Visitor) -> None:
    """
    Refuse what cannot be reserved anyway before the visitor's open page is ended.

    Only for a visitor who has one: the reservation itself decides for everybody.
    """
    with shop.database.read() as session:
        own = _own_units(session, visitor)
        if not own:
            return
        _check_quantities(cart, shop.config.limits)
        available = dict(
            session.execute(
                select(Product.id, Product.stock - Product.reserved).where(
                    Product.id.in_(cart), Product.is_listed
                )
            ).all()
        )
        overdue = session.scalar(
            select(StockReservation.id)
            .where(
                StockReservation.product_id.in_(cart),
                StockReservation.status == PENDING,
                StockReservation.expires_at <= shop.clock(),
            )
            .limit(1)
        )
    unknown = sorted(cart.keys() - available.keys())
    if unknown:
        raise ProductNotFoundError(unknown)
    shortages = [
        Shortage(product_id, quantity, available[product_id] + own.get(product_id, 0))
        for product_id, quantity in sorted(cart.items())
        if available[product_id] + own.get(product_id, 0) < quantity
    ]
    if shortages and overdue is None:
        raise InsufficientStockError(shortages)


def _own_units(session: Session, visitor: Visitor) -> dict[int, int]:
    """Return what the visitor's own open page holds, units by product."""
    rows = session.execute(
        select(StockReservation.product_id, StockReservation.quantity)
        .join(Checkout, Checkout.id == StockReservation.checkout_id)
        .where(*_open_page_of(visitor))
    )
    return {row[0]: row[1] for row in rows}


def _open_page_of(visitor: Visitor) -> tuple[ColumnElement[bool], ...]:
    return (
        Checkout.visitor == visitor.id,
        Checkout.status == PENDING,
        ~Checkout.awaits_payment,
    )


def _end_own_holds(shop: Shop, visitor: Visitor) -> int | None:
    """End the visitor's open page; return its checkout if it was paid meanwhile."""
    with shop.database.read() as session:
        own = session.scalars(select(Checkout.id).where(*_open_page_of(visitor))).all()
    for checkout_id in own:
        ending = settlement.end(
            shop, checkout_id, status=CANCELLED, cause="replaced by a new checkout"
        )
        if ending is Ending.KEPT:
            raise PaymentUnavailableError("the visitor's earlier page is still open")
        if ending is Ending.PAID:
            return checkout_id
    return None


def _reserve(
    shop: Shop,
    cart: Mapping[int, int],
    visitor: Visitor,
    notice: Callable[[datetime], str],
) -> tuple[int, datetime]:
    give_up = time.monotonic() + RECLAIM_SECONDS
    while True:
        try:
            return _try_reserve(shop, cart, visitor, notice)
        except InsufficientStockError as error:
            short = [shortage.product_id for shortage in error.shortages]
            if time.monotonic() > give_up or not settlement.reclaim(shop, short):
                raise


def _try_reserve(
    shop: Shop,
    cart: Mapping[int, int],
    visitor: Visitor,
    notice: Callable[[datetime], str],
) -> tuple[int, datetime]:
    now = shop.clock()
    expires_at = now + shop.config.hold_for
    terms = Terms(
        visitor=visitor.id,
        address=visitor.address,
        locale=visitor.locale,
        notice=notice(expires_at),
        idempotency_key=f"checkout-{secrets.token_hex(16)}",
        expires_at=expires_at,
        stripe_expires_at=epoch(
            max(now + STRIPE_LEAST, expires_at + STRIPE_AFTER_HOLD)
        ),
    )

    def work(session: Session) -> int:
        _check_limits(session, cart, visitor, shop.config.limits)
        return reservations.reserve(session, cart, terms, now=now)

    return shop.database.write(work), expires_at


def _check_limits(
    session: Session, cart: Mapping[int, int], visitor: Visitor, limits: Limits
) -> None:
    _check_quantities(cart, limits)
    for column, value, most in (
        (Checkout.visitor, visitor.id, limits.holds_per_visitor),
        (Checkout.address, visitor.address, limits.holds_per_address),
    ):
        if most and _holds(session, column == value) >= most:
            raise TooManyHoldsError


def _check_quantities(cart: Mapping[int, int], limits: Limits) -> None:
    most = limits.quantity_per_product
    for product_id, quantity in cart.items():
        if most and quantity > most:
            raise InvalidQuantityError(product_id, quantity, limit=most)


def _holds(session: Session, condition: ColumnElement[bool]) -> int:
    return session.scalars(
        select(func.count()).where(Checkout.status == PENDING, condition)
    ).one()


def _make_page(shop: Shop, checkout_id: int) -> PaymentSession:
    try:
        page = shop.gateway.create(settlement.session_request(shop, checkout_id))
    except PaymentUnavailableError:
        # There may be a session: the hold stays until that is known.
        raise
    except PaymentError as error:
        logger.error("Stripe refused checkout %s: %s", checkout_id, error)
        _take_back(shop, checkout_id, cause="refused by Stripe")
        raise
    attached = shop.database.write(
        lambda session: reservations.attach(session, checkout_id, page.id)
    )
    if not attached or not page.url:
        _close_unwanted(shop, page)
        raise HoldEndedError
    return page


def _take_back(shop: Shop, checkout_id: int, *, cause: str) -> None:
    """Give back what was reserved for a page that certainly does not exist."""
    shop.database.write(
        lambda session: reservations.cancel(
            session, checkout_id, cause=cause, now=shop.clock()
        )
    )


def _close_unwanted(shop: Shop, page: PaymentSession) -> None:
    """Close a page that came after its hold had ended; nobody was given its address."""
    try:
        shop.gateway.expire(page.id)
    except PaymentError as error:
        logger.warning("session %s stays open unseen: %s", page.id, error)


def cancel(shop: Shop, checkout_id: int, visitor_id: str) -> Ending | None:
    """
    End the hold of a visitor who came back from the payment page; safe to repeat.

    None if the checkout is not this visitor's. KEPT when Stripe cannot be reached: the
    page may still be paid, so its units stay held.
    """
    with shop.database.read() as session:
        own = session.scalar(
            select(Checkout.id).where(
                Checkout.id == checkout_id, Checkout.visitor == visitor_id
            )
        )
    if own is None:
        return None
    try:
        return settlement.end(
            shop, checkout_id, status=CANCELLED, cause="cancelled by the customer"
        )
    except PaymentError as error:
        logger.warning("checkout %s is kept: %s", checkout_id, error)
        return Ending.KEPT
