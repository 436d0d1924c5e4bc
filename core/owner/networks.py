"""What networks hold, and who was refused: how an owner finds out who hoards."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from core import records
from core.database.rows import change
from core.models.catalogue import Product
from core.models.checkout import PENDING, Checkout
from core.models.limits import RefusedCheckout
from core.models.stock import StockReservation
from core.stock.limits import MEMORY

_IS_COUNTED = (Checkout.network != literal_column("''")) & (
    Checkout.status == literal_column("'PENDING'")
)


@dataclass(frozen=True)
class NetworkHold:
    """Units of one product that one network holds, in how many *checkouts*."""

    network: str
    product_id: int
    product_name: str
    units: int
    stock: int
    checkouts: int


@dataclass(frozen=True)
class Refused:
    """How often a network was refused in the last day, for one reason of REASONS."""

    network: str
    reason: str
    times: int
    last_at: datetime


def held(session: Session, *, limit: int = 20) -> list[NetworkHold]:
    """List what networks hold in two or more checkouts, the most units first."""
    units, checkouts = func.sum(StockReservation.quantity), func.count()
    query = (
        select(Checkout.network, Product.id, Product.name, units, Product.stock)
        .add_columns(checkouts)
        .join(StockReservation, StockReservation.checkout_id == Checkout.id)
        .join(Product, Product.id == StockReservation.product_id)
        .where(_IS_COUNTED)
        .group_by(Checkout.network, Product.id, Product.name, Product.stock)
        .having(checkouts > 1)
        .order_by(units.desc(), Checkout.network, Product.id)
        .limit(limit)
    )
    return [NetworkHold(*row) for row in session.execute(query)]


def refused(session: Session, now: datetime, *, limit: int = 20) -> list[Refused]:
    """List who was refused in the last day, the latest first."""
    row, last = RefusedCheckout, func.max(RefusedCheckout.last_at)
    query = (
        select(row.network, row.reason, func.sum(row.times), last)
        .where(row.last_at > now - MEMORY)
        .group_by(row.network, row.reason)
        .order_by(last.desc(), row.network)
        .limit(limit)
    )
    return [Refused(*each) for each in session.execute(query)]


def let_go(session: Session, held: NetworkHold, *, who: str, now: datetime) -> bool:
    """
    End what a network holds of a product: the sweep closes the pages at once.

    Payments that are on their way stay. Who did it is kept as a step. Safe to repeat;
    False if nothing was held any more.
    """
    query = (
        select(Checkout.id)
        .join(StockReservation, StockReservation.checkout_id == Checkout.id)
        .where(_IS_COUNTED, Checkout.network == held.network)
        .where(StockReservation.product_id == held.product_id)
        .where(~Checkout.awaits_payment, Checkout.expires_at > now)
    )
    ids = session.scalars(query.order_by(Checkout.id)).all()
    return sum(_end_now(session, each, who, now) for each in ids) > 0


def _end_now(session: Session, checkout_id: int, who: str, now: datetime) -> bool:
    is_held = (Checkout.id == checkout_id) & (Checkout.status == PENDING)
    is_held &= ~Checkout.awaits_payment
    if not change(session, Checkout, is_held, expires_at=now, retry_at=None):
        return False
    lines = StockReservation.checkout_id == checkout_id
    change(session, StockReservation, lines, expires_at=now)
    records.add_step(session, checkout_id, "LET_GO", who=who, now=now)
    return True
