"""
Stock and its ledger: receive, adjust and the movements behind them.

Invariant: the stock of a product is the sum of its movements. Every change of stock
writes its movement in the same transaction. All functions are rules: they work in the
caller's transaction and never commit. They return the new stock and raise
ProductNotFoundError. Not safe to repeat.
"""

from datetime import datetime

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
    """Book *quantity* units that came in; InvalidQuantityError if it is under 1."""
    if quantity < 1:
        raise InvalidQuantityError(product_id, quantity)
    return _book(session, product_id, quantity, RECEIVED, note=note, who=who, now=now)


def return_units(
    session: Session,
    product_id: int,
    quantity: int,
    order_id: int,
    *,
    who: str,
    now: datetime,
) -> int:
    """
    Book units of an order that came back.

    The caller has checked that they were sold (orders.return_units).
    """
    of = {"order_id": order_id, "who": who}
    return _book(session, product_id, quantity, RETURNED, now=now, **of)


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
    Correct a count by *difference* units, up or down.

    A difference is safe against a sale in the meantime, a new total would undo it.
    Refuses to leave less stock than is reserved (StockAdjustmentError) and a difference
    of 0 (InvalidQuantityError).
    """
    if difference == 0:
        raise InvalidQuantityError(product_id, difference)
    return _book(session, product_id, difference, ADJUSTED, note=note, who=who, now=now)


def _book(
    session: Session,
    product_id: int,
    quantity: int,
    reason: str,
    *,
    now: datetime,
    **said: object,
) -> int:
    stock = Product.stock + quantity
    may_be = (Product.id == product_id) & (stock >= Product.reserved)
    booked = change(session, Product, may_be, returning=["stock"], stock=stock)
    if booked is None:
        product = session.get(Product, product_id, populate_existing=True)
        if product is None:
            raise ProductNotFoundError([product_id])
        raise StockAdjustmentError(
            stock=product.stock, reserved=product.reserved, difference=quantity
        )
    about = {"product_id": product_id, "quantity": quantity, "reason": reason}
    session.add(StockMovement(**about, **said, created_at=now))
    session.flush()
    return int(booked.stock)
