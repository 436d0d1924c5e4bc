"""
Find and explain drift between counters, rows and the ledger.

Everything is compared by grouped SQL, in bounded memory. Rules: they work in the
caller's transaction and never commit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Select, case, func, or_, select
from sqlalchemy.orm import Session

from core.models import (
    CONFIRMED,
    PENDING,
    Checkout,
    Order,
    Product,
    StockMovement,
    StockReservation,
)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be."""

    kind: str
    subject: str
    explanation: str


def examine(session: Session) -> list[Finding]:
    """Check every invariant that the database alone can tell; changes nothing."""
    return [
        *_reserved_against_reservations(session),
        *_stock_against_movements(session),
        *_reservations_against_checkouts(session),
        *_confirmed_without_order(session),
    ]


def _reserved_against_reservations(session: Session) -> Iterator[Finding]:
    held = (
        select(
            StockReservation.product_id,
            func.sum(StockReservation.quantity).label("units"),
        )
        .where(StockReservation.status == PENDING)
        .group_by(StockReservation.product_id)
        .subquery()
    )
    units = func.coalesce(held.c.units, 0)
    for row in session.execute(
        select(Product.id, Product.name, Product.reserved, units)
        .outerjoin(held, held.c.product_id == Product.id)
        .where(Product.reserved != units)
        .order_by(Product.id)
    ):
        yield Finding(
            "reserved",
            f"product {row[0]} ({row[1]})",
            f"reserved is {row[2]}, its PENDING reservations add up to {row[3]}",
        )


def _stock_against_movements(session: Session) -> Iterator[Finding]:
    moved = (
        select(
            StockMovement.product_id, func.sum(StockMovement.quantity).label("units")
        )
        .group_by(StockMovement.product_id)
        .subquery()
    )
    units = func.coalesce(moved.c.units, 0)
    for row in session.execute(
        select(Product.id, Product.name, Product.stock, units)
        .outerjoin(moved, moved.c.product_id == Product.id)
        .where(Product.stock != units)
        .order_by(Product.id)
    ):
        yield Finding(
            "stock",
            f"product {row[0]} ({row[1]})",
            f"stock is {row[2]}, its movements add up to {row[3]}",
        )


def _reservations_against_checkouts(session: Session) -> Iterator[Finding]:
    query: Select[int, str, str] = (
        select(StockReservation.id, StockReservation.status, Checkout.status)
        .join(Checkout, Checkout.id == StockReservation.checkout_id)
        .where(StockReservation.status != Checkout.status)
        .order_by(StockReservation.id)
    )
    for row in session.execute(query):
        yield Finding(
            "status",
            f"reservation {row[0]}",
            f"it is {row[1]}, its checkout is {row[2]}",
        )


def _confirmed_without_order(session: Session) -> Iterator[Finding]:
    expected = case((Checkout.status == CONFIRMED, 1), else_=0)
    found = case((Order.id.is_not(None), 1), else_=0)
    for row in session.execute(
        select(Checkout.id, Checkout.status, Order.id)
        .outerjoin(Order, Order.checkout_id == Checkout.id)
        .where(or_(Checkout.status == CONFIRMED, Order.id.is_not(None)))
        .where(expected != found)
        .order_by(Checkout.id)
    ):
        yield Finding(
            "order",
            f"checkout {row[0]}",
            f"it is {row[1]} and has {'an' if row[2] else 'no'} order",
        )
