"""
Stock and its ledger: receive, adjust and the movements behind them.

Invariant: the stock of a product is the sum of its movements. Every change of stock
writes its movement in the same transaction. All functions are rules: they work in the
caller's transaction and never commit.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database.rows import change
from core.errors import (
    InvalidQuantityError,
    ProductNotFoundError,
    StockAdjustmentError,
)
from core.models.catalogue import Product
from core.models.stock import ADJUSTED, RECEIVED, RETURNED, StockMovement


def receive(
    session: Session,
    product_id: int,
    quantity: int,
    *,
    note: str = "",
    who: str = "",
    now: datetime,
) -> int:
    """
    Book *quantity* units that came in; return the new stock. Not safe to repeat.

    Refuses a quantity under 1 (InvalidQuantityError) and an unknown product.
    """
    if quantity < 1:
        raise InvalidQuantityError(product_id, quantity)
    return _book(session, product_id, quantity, RECEIVED, note=note, who=who, now=now)


def return_units(
    session: Session,
    product_id: int,
    quantity: int,
    order_id: int,
    *,
    who: str = "",
    now: datetime,
) -> int:
    """
    Book units of an order that came back; return the new stock. Not safe to repeat.

    The caller has checked that they were sold (orders.return_units).
    """
    return _book(
        session, product_id, quantity, RETURNED, order_id=order_id, who=who, now=now
    )


def adjust(
    session: Session,
    product_id: int,
    difference: int,
    *,
    note: str,
    who: str = "",
    now: datetime,
) -> int:
    """
    Correct a count by *difference* units, up or down; return the new stock.

    A difference is safe against a sale in the meantime, a new total would undo it.
    Refuses to leave less stock than is reserved (StockAdjustmentError), a difference
    of 0 (InvalidQuantityError) and an unknown product. Not safe to repeat.
    """
    if difference == 0:
        raise InvalidQuantityError(product_id, difference)
    return _book(session, product_id, difference, ADJUSTED, note=note, who=who, now=now)


def _book(  # noqa: PLR0913 (what a movement says)
    session: Session,
    product_id: int,
    quantity: int,
    reason: str,
    *,
    order_id: int | None = None,
    note: str = "",
    who: str,
    now: datetime,
) -> int:
    stock = Product.stock + quantity
    may_be = (Product.id == product_id) & (stock >= Product.reserved)
    booked = change(session, Product, may_be, returning=["stock"], stock=stock)
    if booked is None:
        raise _refusal(session, product_id, quantity)
    session.add(
        StockMovement(
            product_id=product_id,
            quantity=quantity,
            reason=reason,
            order_id=order_id,
            note=note,
            who=who,
            created_at=now,
        )
    )
    session.flush()
    return int(booked.stock)


def _refusal(
    session: Session, product_id: int, difference: int
) -> StockAdjustmentError | ProductNotFoundError:
    row = session.execute(
        select(Product.stock, Product.reserved).where(Product.id == product_id)
    ).one_or_none()
    if row is None:
        return ProductNotFoundError([product_id])
    return StockAdjustmentError(
        stock=row.stock, reserved=row.reserved, difference=difference
    )
