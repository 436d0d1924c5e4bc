"""
Holds as a customer sees them: their own, and when units of others may come back.

Times are UTC, quantities are units.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.database.rows import view_of
from core.models.checkout import CONFIRMED, PENDING, Checkout
from core.models.stock import StockReservation

# Of the holds that end next, this number is read to tell when units may be free.
SOONEST = 5_000


@dataclass(frozen=True)
class HoldView:
    """A visitor's own open checkout; *units* by product id are theirs already."""

    checkout_id: int
    stripe_session_id: str | None
    expires_at: datetime
    units: Mapping[int, int]


@dataclass(frozen=True)
class CheckoutState:
    """How a checkout stands, and the cause if it has ended: see models.Checkout."""

    status: str
    cause: str
    awaits_payment: bool
    expires_at: datetime


def free_at(
    session: Session,
    product_ids: Collection[int],
    *,
    until: datetime,
    besides: int = 0,
) -> dict[int, datetime]:
    """
    Tell when the first held units of these products may come back, *until* then.

    Holds that end later wait for a delayed payment: their end promises nothing. Only
    the SOONEST holds of the shop are looked at, so a page costs the same in any rush;
    of a product that is not among them it is not known. The checkout *besides* which
    they are is the visitor's own.
    """
    if not product_ids:
        return {}
    soonest = (
        select(
            StockReservation.product_id,
            StockReservation.expires_at,
            StockReservation.checkout_id,
        )
        .where(StockReservation.status == PENDING, StockReservation.expires_at <= until)
        .order_by(StockReservation.expires_at)
        .limit(SOONEST)
        .subquery()
    )
    rows = session.execute(
        select(soonest.c.product_id, func.min(soonest.c.expires_at))
        .where(soonest.c.product_id.in_(product_ids), soonest.c.checkout_id != besides)
        .group_by(soonest.c.product_id)
    )
    return dict(rows.all())


def is_overdue(session: Session, product_ids: Collection[int], now: datetime) -> bool:
    """Tell whether holds of these products are overdue: their units to be reclaimed."""
    overdue = select(StockReservation.id).where(
        StockReservation.product_id.in_(product_ids),
        StockReservation.status == PENDING,
        StockReservation.expires_at <= now,
    )
    return session.scalar(overdue.limit(1)) is not None


def open_hold(session: Session, visitor: str, now: datetime) -> HoldView | None:
    """Return the visitor's own checkout that can still be paid."""
    row = session.scalar(
        select(Checkout).where(
            Checkout.visitor == visitor,
            Checkout.status == PENDING,
            ~Checkout.awaits_payment,
            Checkout.expires_at > now,
        )
    )
    if row is None:
        return None
    units = units_of(session, row.id)
    return HoldView(row.id, row.stripe_session_id, row.expires_at, units)


def units_of(session: Session, checkout_id: int) -> dict[int, int]:
    """Return product id to units of a checkout, whatever became of it."""
    rows = session.execute(
        select(StockReservation.product_id, StockReservation.quantity).where(
            StockReservation.checkout_id == checkout_id
        )
    )
    return dict(rows.all())


def bought_units(session: Session, checkout_id: int) -> dict[int, int]:
    """
    Return product id to units of a checkout that was paid for, else nothing.

    A delayed payment that is on its way counts: its customer has done their part.
    """
    is_on_its_way = (Checkout.status == PENDING) & Checkout.awaits_payment
    is_bought = is_on_its_way | (Checkout.status == CONFIRMED)
    bought = select(Checkout.id).where(Checkout.id == checkout_id, is_bought)
    return {} if session.scalar(bought) is None else units_of(session, checkout_id)


def state(session: Session, checkout_id: int) -> CheckoutState:
    """Return how a checkout that exists stands now."""
    return view_of(CheckoutState, session.get_one(Checkout, checkout_id))
