"""
Find and explain drift between counters, rows and the ledger; repair it when told to.

Everything is compared by grouped SQL, in bounded memory. Rules: they work in the
caller's transaction and never commit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, case, func, or_, select, update
from sqlalchemy.orm import Session

from core.models.catalogue import Product
from core.models.checkout import CONFIRMED, PENDING, Checkout
from core.models.orders import Order
from core.models.refunds import FAILED, Refund
from core.models.stock import ADJUSTED, StockMovement, StockReservation
from core.orders import sales


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be."""

    kind: str
    subject: str
    explanation: str


@dataclass(frozen=True)
class _Drift:
    """A product's counter beside the sum of the rows that it stands for."""

    product_id: int
    name: str
    counter: int
    rows: int


def examine(session: Session) -> list[Finding]:
    """Check every invariant that the database alone can tell; changes nothing."""
    return [
        *(
            _finding("reserved", drift, "its PENDING reservations")
            for drift in _reserved_drift(session)
        ),
        *(_finding("stock", drift, "its movements") for drift in _stock_drift(session)),
        *_reservations_against_checkouts(session),
        *_confirmed_without_order(session),
        *_refunded_against_refunds(session),
        *map(_sales_finding, sales.drift(session)),
    ]


def repair(session: Session, *, now: datetime) -> list[Finding]:
    """
    Mend what can be mended without a person, and return what that was.

    Rows are the truth for *reserved*: the counter is set to their sum, unless there is
    not so much stock. The shelf is the truth for *stock*: a movement is appended that
    makes the ledger agree. Orders are the truth for a day's sums. What was sold wrongly
    only a person can tell. Safe to repeat.
    """
    repaired = []
    for drift in _reserved_drift(session):
        mended = session.scalar(
            update(Product)
            .where(
                Product.id == drift.product_id,
                Product.reserved == drift.counter,
                Product.stock >= drift.rows,
            )
            .values(reserved=drift.rows)
            .returning(Product.id)
        )
        if mended is not None:
            repaired.append(_finding("reserved", drift, "its PENDING reservations"))
    for drift in _stock_drift(session):
        session.add(
            StockMovement(
                product_id=drift.product_id,
                quantity=drift.counter - drift.rows,
                reason=ADJUSTED,
                note="doctor: the ledger did not add up to the stock",
                created_at=now,
            )
        )
        repaired.append(_finding("stock", drift, "its movements"))
    session.flush()
    for day in list(sales.drift(session)):
        sales.sum_again(session, day.day)
        repaired.append(_sales_finding(day))
    return repaired


def _finding(kind: str, drift: _Drift, rows: str) -> Finding:
    return Finding(
        kind,
        f"product {drift.product_id} ({drift.name})",
        f"{kind} is {drift.counter}, {rows} add up to {drift.rows}",
    )


def _sales_finding(drift: sales.Drift) -> Finding:
    return Finding(
        "sales",
        f"sales of {drift.day} in {drift.currency}",
        f"{drift.kept[0]} orders of {drift.kept[1]} cents are kept as their sum, the"
        f" orders are {drift.found[0]} of {drift.found[1]}",
    )


def _reserved_drift(session: Session) -> list[_Drift]:
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
    rows = session.execute(
        select(Product.id, Product.name, Product.reserved, units)
        .outerjoin(held, held.c.product_id == Product.id)
        .where(Product.reserved != units)
        .order_by(Product.id)
    )
    return [_Drift(*row) for row in rows]


def _stock_drift(session: Session) -> list[_Drift]:
    moved = (
        select(
            StockMovement.product_id, func.sum(StockMovement.quantity).label("units")
        )
        .group_by(StockMovement.product_id)
        .subquery()
    )
    units = func.coalesce(moved.c.units, 0)
    rows = session.execute(
        select(Product.id, Product.name, Product.stock, units)
        .outerjoin(moved, moved.c.product_id == Product.id)
        .where(Product.stock != units)
        .order_by(Product.id)
    )
    return [_Drift(*row) for row in rows]


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


def _refunded_against_refunds(session: Session) -> Iterator[Finding]:
    gone = (
        select(Refund.order_id, func.sum(Refund.amount_cents).label("cents"))
        .where(Refund.order_id.is_not(None), Refund.status != FAILED)
        .group_by(Refund.order_id)
        .subquery()
    )
    cents = func.coalesce(gone.c.cents, 0)
    for row in session.execute(
        select(Order.id, Order.refunded_cents, cents)
        .outerjoin(gone, gone.c.order_id == Order.id)
        .where(Order.refunded_cents != cents)
        .order_by(Order.id)
    ):
        yield Finding(
            "refunded",
            f"order {row[0]}",
            f"refunded_cents is {row[1]}, its refunds add up to {row[2]}",
        )
