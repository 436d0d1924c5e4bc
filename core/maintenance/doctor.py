"""
Find and explain drift between counters, rows and the ledger; repair it when told to.

Everything is compared by grouped SQL, in bounded memory. Rules: they work in the
caller's transaction and never commit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.database.engine import is_postgresql
from core.database.locks import REPAIR_KEY
from core.database.rows import change
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
class _Counter:
    """A *column* that must be the sum of *amounts* in the *counted* rows of its own."""

    kind: str
    subject: str
    name: ColumnElement[str] | InstrumentedAttribute[str]
    column: InstrumentedAttribute[int]
    amounts: InstrumentedAttribute[int]
    belongs_to: InstrumentedAttribute[Any]
    counted: ColumnElement[bool]
    rows: str


RESERVED = _Counter(
    kind="reserved",
    subject="product {id} ({name})",
    name=Product.name,
    column=Product.reserved,
    amounts=StockReservation.quantity,
    belongs_to=StockReservation.product_id,
    counted=StockReservation.status == PENDING,
    rows="its PENDING reservations",
)
STOCK = _Counter(
    kind="stock",
    subject="product {id} ({name})",
    name=Product.name,
    column=Product.stock,
    amounts=StockMovement.quantity,
    belongs_to=StockMovement.product_id,
    counted=true(),
    rows="its movements",
)
REFUNDED = _Counter(
    kind="refunded",
    subject="order {id}",
    name=literal(""),
    column=Order.refunded_cents,
    amounts=Refund.amount_cents,
    belongs_to=Refund.order_id,
    counted=Refund.status != FAILED,
    rows="its refunds",
)


def examine(session: Session) -> list[Finding]:
    """Check every invariant that the database alone can tell; changes nothing."""
    return [
        *(found for _, found in _drift(session, RESERVED)),
        *(found for _, found in _drift(session, STOCK)),
        *_reservations_against_checkouts(session),
        *_checkouts_against_orders(session),
        *(found for _, found in _drift(session, REFUNDED)),
        *map(_sales_finding, sales.drift(session)),
    ]


def repair(session: Session, *, now: datetime) -> list[Finding]:
    """
    Repair what needs no person to decide, and return what that was; safe to repeat.

    Rows are the truth for *reserved*: it becomes their sum, unless that is more than
    the stock. The shelf is the truth for *stock*: a movement is appended that makes the
    ledger agree. Orders are the truth for a day's sums. The rest is for a person. Of
    two at once on PostgreSQL the second waits for the first, and finds nothing.
    """
    if is_postgresql(session):
        # Both would append the movement: neither sees that of the other.
        session.execute(select(func.pg_advisory_xact_lock(REPAIR_KEY)))
    repaired = []
    for row, finding in _drift(session, RESERVED):
        is_same = (Product.id == row.id) & (Product.reserved == row.counter)
        which = is_same & (Product.stock >= row.total)
        if change(session, Product, which, reserved=row.total):
            repaired.append(finding)
    for row, finding in _drift(session, STOCK):
        session.add(
            StockMovement(
                product_id=row.id,
                quantity=row.counter - row.total,
                reason=ADJUSTED,
                note="doctor: the ledger did not add up to the stock",
                created_at=now,
            )
        )
        repaired.append(finding)
    session.flush()
    for day in list(sales.drift(session)):
        sales.sum_again(session, day.day)
        repaired.append(_sales_finding(day))
    return repaired


def _drift(session: Session, counter: _Counter) -> Iterator[tuple[Row[Any], Finding]]:
    """Yield the rows (id, name, counter, total) whose counter is not the total."""
    sums = (
        select(counter.belongs_to.label("id"), func.sum(counter.amounts).label("total"))
        .where(counter.counted)
        .group_by(counter.belongs_to)
        .subquery()
    )
    total = func.coalesce(sums.c.total, 0).label("total")
    number, name = counter.column.class_.id, counter.name.label("name")
    rows = session.execute(
        select(number, name, counter.column.label("counter"), total)
        .outerjoin(sums, sums.c.id == number)
        .where(counter.column != total)
        .order_by(number)
    ).all()
    for row in rows:
        subject = counter.subject.format(id=row.id, name=row.name)
        is_not = f"{counter.column.key} is {row.counter}, {counter.rows} add up to"
        yield row, Finding(counter.kind, subject, f"{is_not} {row.total}")


def _sales_finding(drift: sales.Drift) -> Finding:
    return Finding(
        "sales",
        f"sales of {drift.day} in {drift.currency}",
        f"{drift.kept[0]} orders of {drift.kept[1]} cents are kept as their sum, the"
        f" orders are {drift.found[0]} of {drift.found[1]}",
    )


def _reservations_against_checkouts(session: Session) -> Iterator[Finding]:
    rows = session.execute(
        select(StockReservation.id, StockReservation.status, Checkout.status)
        .join(Checkout, Checkout.id == StockReservation.checkout_id)
        .where(StockReservation.status != Checkout.status)
        .order_by(StockReservation.id)
    )
    for number, status, other in rows:
        explanation = f"it is {status}, its checkout is {other}"
        yield Finding("status", f"reservation {number}", explanation)


def _checkouts_against_orders(session: Session) -> Iterator[Finding]:
    rows = session.execute(
        select(Checkout.id, Checkout.status, Order.id)
        .outerjoin(Order, Order.checkout_id == Checkout.id)
        .where((Checkout.status == CONFIRMED) != Order.id.is_not(None))
        .order_by(Checkout.id)
    )
    for number, status, order in rows:
        explanation = f"it is {status} and has {'an' if order else 'no'} order"
        yield Finding("order", f"checkout {number}", explanation)
