"""
From a cart to a payment page, and back when the customer cancels.

Reserve and commit, then ask Stripe for the session: there is no payment page without
committed reservations, and no transaction is held across the call.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError

from core import records
from core.checkout import settlement
from core.checkout.settlement import Ending
from core.clock import new_token
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
from core.models.catalogue import Product
from core.models.checkout import CANCELLED, EXPIRED, PENDING, Checkout
from core.models.stock import StockReservation
from core.payments.data import PaymentSession, SessionRequest
from core.payments.gateway import epoch
from core.shop import Shop
from core.stock import holds, reservations
from core.stock.reservations import Closed, Reserved, Terms

logger = logging.getLogger(__name__)

# Stripe refuses a session that ends within 30 minutes by its own clock; what is over 30
# is all the time that a second try of the same request has.
STRIPE_LEAST = timedelta(minutes=34)
STRIPE_AFTER_HOLD = timedelta(minutes=4)
TRIES = 3
# Nothing more is begun after this. Each step is bounded, so that a Stripe that hangs is
# given up on within 45 seconds.
PATIENCE_SECONDS = 12
# So long before that no overdue hold is asked after any more, or no page could be made.
KEPT_FOR_THE_PAGE = 2


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
    terms, reserved = _reserve(
        shop, cart, visitor, notice, unless_paid=unless_paid, give_up=give_up
    )
    try:
        _check_patience(give_up)
    except PaymentUnavailableError:
        _cancel(shop, reserved.checkout_id, cause="Stripe was too slow")
        raise
    request = settlement.request_for(terms, reserved, shop.config.offer)
    page = _make_page(shop, request, give_up=give_up)
    return PaymentPage(reserved.checkout_id, page.id, page.url or "", terms.expires_at)


def _check_patience(give_up: float) -> None:
    """A browser waits for an answer: after so long nothing more is begun."""
    if time.monotonic() > give_up:
        raise PaymentUnavailableError("Stripe takes too long to answer")


def _reserve(
    shop: Shop,
    cart: Mapping[int, int],
    visitor: Visitor,
    notice: Callable[[datetime], str],
    *,
    unless_paid: bool,
    give_up: float,
) -> tuple[Terms, Reserved]:
    """
    Reserve the cart; end what is in its way, and only then.

    That is the visitor's own open page, and overdue holds of others.
    """
    conflicts = 0
    while True:
        _check_patience(give_up)
        try:
            return _try_reserve(shop, cart, visitor, notice)
        except IntegrityError as error:
            # He has an open page, perhaps made by another tab in this moment.
            conflicts += 1
            if conflicts == TRIES:
                raise BusyError from error
            _end_own_page(shop, cart, visitor, unless_paid=unless_paid)
        except TooManyHoldsError:
            if not _end_own_page(shop, cart, visitor, unless_paid=unless_paid):
                raise
        except InsufficientStockError as error:
            short = [shortage.product_id for shortage in error.shortages]
            if not (
                _end_own_page(shop, cart, visitor, unless_paid=unless_paid)
                or (_is_early(give_up) and settlement.reclaim(shop, short))
            ):
                raise


def _is_early(give_up: float) -> bool:
    return time.monotonic() < give_up - KEPT_FOR_THE_PAGE


def _end_own_page(
    shop: Shop, cart: Mapping[int, int], visitor: Visitor, *, unless_paid: bool
) -> bool:
    """
    End the visitor's open page, so that another can be made; False if he has none.

    Raises what the new cart would be refused with anyway, and then leaves it alone.
    """
    with shop.database.read() as session:
        own = session.scalar(
            select(Checkout.id).where(
                Checkout.visitor == visitor.id,
                Checkout.status == PENDING,
                ~Checkout.awaits_payment,
            )
        )
    if own is None:
        return False
    _refuse_early(shop, cart, own)
    replaced = Closed(CANCELLED, "replaced by a new checkout")
    ending = settlement.end(shop, own, replaced)
    if ending is Ending.KEPT:
        raise PaymentUnavailableError("the visitor's earlier page is still open")
    if ending is Ending.PAID and unless_paid:
        raise EarlierPaidError(own)
    return True


def _refuse_early(shop: Shop, cart: Mapping[int, int], own: int) -> None:
    """Refuse what could not be reserved even with the units of the open page *own*."""
    _check_quantities(cart, shop.config.limits)
    with shop.database.read() as session:
        held = dict(
            session.execute(
                select(StockReservation.product_id, StockReservation.quantity).where(
                    StockReservation.checkout_id == own
                )
            ).all()
        )
        available = dict(
            session.execute(
                select(Product.id, Product.stock - Product.reserved).where(
                    Product.id.in_(cart), Product.is_listed
                )
            ).all()
        )
        overdue = holds.is_overdue(session, cart, shop.clock())
    unknown = sorted(cart.keys() - available.keys())
    if unknown:
        raise ProductNotFoundError(unknown)
    shortages = [
        Shortage(product_id, quantity, available[product_id] + held.get(product_id, 0))
        for product_id, quantity in sorted(cart.items())
        if available[product_id] + held.get(product_id, 0) < quantity
    ]
    if shortages and not overdue:
        raise InsufficientStockError(shortages)


def _try_reserve(
    shop: Shop,
    cart: Mapping[int, int],
    visitor: Visitor,
    notice: Callable[[datetime], str],
) -> tuple[Terms, Reserved]:
    now = shop.clock()
    expires_at = now + shop.config.hold_for
    terms = Terms(
        visitor=visitor.id,
        address=visitor.address,
        locale=visitor.locale,
        notice=notice(expires_at),
        idempotency_key=f"checkout-{new_token()}",
        expires_at=expires_at,
        stripe_expires_at=epoch(
            max(now + STRIPE_LEAST, expires_at + STRIPE_AFTER_HOLD)
        ),
        offer_id=shop.offers.id_of(shop.database, shop.config.offer, now=now),
    )
    _check_quantities(cart, shop.config.limits)
    _check_holds(shop, visitor)
    reserved = shop.database.write_single(
        lambda session: reservations.reserve(session, cart, terms, now=now)
    )
    return terms, reserved


def _check_holds(shop: Shop, visitor: Visitor) -> None:
    limits = shop.config.limits
    for column, value, most in (
        (Checkout.visitor, visitor.id, limits.holds_per_visitor),
        (Checkout.address, visitor.address, limits.holds_per_address),
    ):
        if most and _holds(shop, column == value) >= most:
            raise TooManyHoldsError


def _check_quantities(cart: Mapping[int, int], limits: Limits) -> None:
    most = limits.quantity_per_product
    for product_id, quantity in cart.items():
        if most and quantity > most:
            raise InvalidQuantityError(product_id, quantity, limit=most)


def _holds(shop: Shop, condition: ColumnElement[bool]) -> int:
    with shop.database.read() as session:
        return session.scalars(
            select(func.count()).where(Checkout.status == PENDING, condition)
        ).one()


def _make_page(
    shop: Shop, request: SessionRequest, *, give_up: float
) -> PaymentSession:
    checkout_id = request.checkout_id
    try:
        page = shop.gateway.create(request, give_up=give_up)
    except PaymentUnavailableError:
        # There may be a session: the hold stays until that is known.
        raise
    except PaymentError as error:
        logger.error("Stripe refused checkout %s: %s", checkout_id, error)
        _cancel(shop, checkout_id, cause="refused by Stripe")
        raise
    attached = shop.database.write_single(
        lambda session: reservations.attach(
            session, checkout_id, page.id, now=shop.clock()
        )
    )
    if not attached or not page.url:
        _close_unwanted(shop, page)
        raise HoldEndedError
    return page


def _cancel(shop: Shop, checkout_id: int, *, cause: str) -> None:
    """Release what was reserved for a page that certainly does not exist."""
    shop.database.write_single(
        lambda session: reservations.end(
            session, checkout_id, Closed(CANCELLED, cause), now=shop.clock()
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
    before = _status_of(shop, checkout_id, visitor_id)
    if before is None:
        return None
    try:
        turned_back = Closed(CANCELLED, "cancelled by the customer")
        ending = settlement.end(shop, checkout_id, turned_back)
    except PaymentError as error:
        logger.warning("checkout %s is kept: %s", checkout_id, error)
        return Ending.KEPT
    if ending is Ending.ENDED_BEFORE and before == PENDING:
        # Stripe's event about the page that was closed here came before its answer.
        after = _status_of(shop, checkout_id, visitor_id)
        if after in (EXPIRED, CANCELLED):
            _note_turned_back(shop, checkout_id)
            return Ending.CLOSED
    return ending


def _note_turned_back(shop: Shop, checkout_id: int) -> None:
    """Keep why it ended, which the event could not tell."""
    shop.database.write(
        lambda session: records.add_step(
            session,
            checkout_id,
            "TURNED_BACK",
            cause="cancelled by the customer",
            now=shop.clock(),
        )
    )


def _status_of(shop: Shop, checkout_id: int, visitor_id: str) -> str | None:
    with shop.database.read() as session:
        return session.scalar(
            select(Checkout.status).where(
                Checkout.id == checkout_id, Checkout.visitor == visitor_id
            )
        )
