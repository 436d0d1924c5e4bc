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

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import records
from core.checkout import closing, prices, settlement
from core.checkout.closing import Ending
from core.checkout.prices import Prices
from core.clock import new_token
from core.errors import (
    BusyError,
    EarlierPaidError,
    HoldEndedError,
    InsufficientStockError,
    InvalidQuantityError,
    PaymentError,
    PaymentUnavailableError,
    PriceChangedError,
    TooManyHoldsError,
)
from core.models.checkout import CANCELLED, EXPIRED, PENDING, Checkout
from core.payments.data import PaymentSession, SessionRequest
from core.payments.gateway import epoch
from core.shop import Shop
from core.stock import holds, limits, reservations
from core.stock.limits import Asking
from core.stock.networks import network_of
from core.stock.reservations import Closed, Reserved, Terms

logger = logging.getLogger(__name__)
# Stripe refuses a session that ends within 30 minutes by its own clock. The four
# minutes beyond are the time in which the same request can be repeated.
STRIPE_LEAST = timedelta(minutes=34)
STRIPE_AFTER_HOLD = timedelta(minutes=4)
TRIES = 3
# No step begins after this. Each is bounded, so that the customer has an answer within
# 45 seconds even if Stripe hangs.
PATIENCE_SECONDS = 12
# Left for making the page when overdue holds of others are reclaimed first.
KEPT_FOR_THE_PAGE_SECONDS = 2
TURNED_BACK = Closed(CANCELLED, "cancelled by the customer", is_unpaid=True)


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
    seen: Prices | None = None,
) -> PaymentPage:
    """
    Reserve *cart* (product id to units) and return the page where it can be paid.

    A hold that the visitor still has is ended first: nobody is blocked by their own
    hold, and nobody has two pages that can be paid. If it turns out to be paid, its
    order stands, and with *unless_paid* that is all (EarlierPaidError). *notice* makes
    the sentence about the deadline for Stripe's page. *seen* are the prices that the
    customer was shown, by product id: they are held against those of now and those that
    the reservation took, so that none can change in between (PriceChangedError).

    Raises InsufficientStockError, ProductNotFoundError, CartError and TooManyHoldsError
    with nothing reserved, PaymentError when Stripe refused, and PaymentUnavailableError
    when it did not answer: then the units are safe until the deadline. Not safe to
    repeat: each call is a checkout of its own.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    seen = seen or {}
    if seen:
        with shop.database.read() as session:
            prices.check_asked(session, seen)
    attempt = _Attempt(shop, cart, visitor, notice, unless_paid, give_up, seen)
    terms, reserved = attempt.reserve()
    attempt.give_back_unless_fit(reserved)
    request = closing.request_for(terms, reserved, shop.config.offer)
    page = _make_page(shop, request, give_up=give_up)
    return PaymentPage(reserved.checkout_id, page.id, page.url or "", terms.expires_at)


def _check_patience(give_up: float) -> None:
    if time.monotonic() > give_up:
        raise PaymentUnavailableError("Stripe takes too long to answer")


@dataclass
class _Attempt:
    """
    A cart to be reserved: what is in its way is ended, and only then.

    *held_since* is when the pages began that this one replaces.
    """

    shop: Shop
    cart: Mapping[int, int]
    visitor: Visitor
    notice: Callable[[datetime], str]
    unless_paid: bool
    give_up: float
    seen: Prices
    held_since: datetime | None = None

    def reserve(self) -> tuple[Terms, Reserved]:
        conflicts = 0
        while True:
            _check_patience(self.give_up)
            try:
                return self._reserve_once()
            except IntegrityError as error:
                # The visitor has an open page, perhaps from another tab just now.
                conflicts += 1
                if conflicts == TRIES:
                    raise BusyError from error
                self._end_own_page()
            except InsufficientStockError as error:
                short = [shortage.product_id for shortage in error.shortages]
                if not (self._end_own_page() or self._reclaim(short)):
                    raise

    def _reserve_once(self) -> tuple[Terms, Reserved]:
        shop, now = self.shop, self.shop.clock()
        expires_at = now + shop.config.hold_for
        stripe_expires_at = max(now + STRIPE_LEAST, expires_at + STRIPE_AFTER_HOLD)
        terms = Terms(
            visitor=self.visitor.id,
            network=self._network,
            locale=self.visitor.locale,
            notice=self.notice(expires_at),
            idempotency_key=f"checkout-{new_token()}",
            expires_at=expires_at,
            stripe_expires_at=epoch(stripe_expires_at),
            offer_id=shop.offers.id_of(shop.database, shop.config.offer, now=now),
            held_since=self.held_since,
        )
        self._check_quantities()
        if self._network:
            return terms, self._reserve_within_limits(terms, now)
        with shop.database.read() as session:
            limits.check_visitor(session, self.visitor.id, shop.config.limits)
        reserved = shop.database.write_single(
            lambda session: reservations.reserve(session, self.cart, terms, now=now)
        )
        return terms, reserved

    def give_back_unless_fit(self, reserved: Reserved) -> None:
        """Release what no page may be asked for any more, and raise why."""
        try:
            prices.check_promised(self.seen, reserved.lines)
            _check_patience(self.give_up)
        except PriceChangedError:
            _cancel(self.shop, reserved.checkout_id, cause="a price had changed")
            raise
        except PaymentUnavailableError:
            _cancel(self.shop, reserved.checkout_id, cause="Stripe was too slow")
            raise

    @property
    def _network(self) -> str:
        counts_loopback = self.shop.config.limits.counts_loopback
        return network_of(self.visitor.address, counts_loopback=counts_loopback)

    def _reserve_within_limits(self, terms: Terms, now: datetime) -> Reserved:
        """Count and reserve in one transaction, one at a time in each network."""

        def work(session: Session) -> Reserved:
            limits.take_turn(session, self._network)
            if error := self._over_limit(session, now):
                # What cannot be had by anybody is said first.
                raise reservations.refusal(session, self.cart) or error
            return reservations.reserve(session, self.cart, terms, now=now)

        try:
            return self.shop.database.write(work)
        except TooManyHoldsError as error:
            reason = error.reason
            self.shop.database.write(
                lambda s: limits.note_refusal(s, self._network, reason, now=now)
            )
            raise

    def _over_limit(self, session: Session, now: datetime) -> TooManyHoldsError | None:
        most = self.shop.config.limits
        asking = Asking(self.visitor.id, self._network, self.cart)
        try:
            limits.check_visitor(session, asking.visitor, most)
            limits.check_network(session, asking, most, now=now)
        except TooManyHoldsError as error:
            return error
        return None

    def _end_own_page(self) -> bool:
        """
        End the visitor's open page, so that another can be made; False without one.

        Raises what the new cart would be refused with anyway, and then leaves the page
        alone.
        """
        is_open = (Checkout.status == PENDING) & ~Checkout.awaits_payment
        query = select(Checkout.id, Checkout.created_at, Checkout.held_since).where(
            Checkout.visitor == self.visitor.id, is_open
        )
        with self.shop.database.read() as session:
            row = session.execute(query).first()
        if row is None:
            return False
        own, created_at, held_since = row
        self._refuse_early(own)
        self.held_since = held_since or created_at
        # Who replaces page by page for longer than a hold lasts does not want to pay.
        too_long = self.shop.clock() - self.held_since > self.shop.config.hold_for
        replaced = Closed(CANCELLED, "replaced by a new checkout", is_unpaid=too_long)
        ending = settlement.end(self.shop, own, replaced)
        if ending is Ending.KEPT:
            raise PaymentUnavailableError("the visitor's earlier page is still open")
        if ending is Ending.PAID and self.unless_paid:
            raise EarlierPaidError(own)
        return True

    def _refuse_early(self, own: int) -> None:
        """Refuse what could not be reserved even with the units of the page *own*."""
        self._check_quantities()
        with self.shop.database.read() as session:
            held = holds.units_of(session, own)
            error = reservations.refusal(session, self.cart, held=held)
            # Overdue holds of others may be reclaimed.
            is_short = isinstance(error, InsufficientStockError)
            if is_short and holds.is_overdue(session, self.cart, self.shop.clock()):
                return
        if error is not None:
            raise error

    def _check_quantities(self) -> None:
        most = self.shop.config.limits.quantity_per_product
        for product_id, quantity in self.cart.items():
            if most and quantity > most:
                raise InvalidQuantityError(product_id, quantity, limit=most)

    def _reclaim(self, product_ids: list[int]) -> bool:
        is_early = time.monotonic() < self.give_up - KEPT_FOR_THE_PAGE_SECONDS
        return is_early and settlement.reclaim(self.shop, product_ids)


def _make_page(
    shop: Shop, request: SessionRequest, *, give_up: float
) -> PaymentSession:
    checkout_id = request.checkout_id
    try:
        page = shop.gateway.create(request, give_up=give_up)
    except PaymentUnavailableError:
        raise  # There may be a session: the hold stays until that is known.
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
        # The page came after its hold had ended; nobody was given its address.
        try:
            shop.gateway.expire(page.id)
        except PaymentError as error:
            logger.warning("session %s stays open unseen: %s", page.id, error)
        raise HoldEndedError
    return page


def _cancel(shop: Shop, checkout_id: int, *, cause: str) -> None:
    """Release what was reserved for a page that certainly does not exist."""
    settlement.release(shop, checkout_id, Closed(CANCELLED, cause))


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
        ending = settlement.end(shop, checkout_id, TURNED_BACK)
    except PaymentError as error:
        logger.warning("checkout %s is kept: %s", checkout_id, error)
        return Ending.KEPT
    if ending is not Ending.ENDED_BEFORE or before != PENDING:
        return ending
    # Stripe's event about the page that was closed here came before its answer.
    if _status_of(shop, checkout_id, visitor_id) not in (EXPIRED, CANCELLED):
        return ending
    add, cause, now = records.add_step, TURNED_BACK.cause, shop.clock()
    shop.database.write(
        lambda session: add(session, checkout_id, "TURNED_BACK", cause=cause, now=now)
    )
    return Ending.CLOSED


def _status_of(shop: Shop, checkout_id: int, visitor_id: str) -> str | None:
    own = (Checkout.id == checkout_id) & (Checkout.visitor == visitor_id)
    with shop.database.read() as session:
        return session.scalar(select(Checkout.status).where(own))
