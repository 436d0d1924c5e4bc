"""The prices that a customer has seen, held against those that are asked now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.catalogue import products
from core.errors import PriceChange, PriceChangedError
from core.stock.reservations import ReservedLine


@dataclass(frozen=True)
class Price:
    """What is asked for one unit, in cents; without a *currency* that is not asked."""

    cents: int
    currency: str = ""


Prices = Mapping[int, Price]


def check_promised(seen: Prices, lines: Iterable[ReservedLine]) -> None:
    """
    Compare the prices *seen*, by product id, with those that a reservation took.

    Raises PriceChangedError with every product whose price differs; one that was not
    seen is not compared.
    """
    promised = {each.product_id: each for each in lines}
    _check(
        seen,
        {key: Price(at.unit_price_cents, at.currency) for key, at in promised.items()},
    )


def check_asked(session: Session, seen: Prices) -> None:
    """Compare the prices *seen* with those of the catalogue, like check_promised."""
    known = products.by_ids(session, seen.keys())
    asked = {key: Price(each.price_cents, each.currency) for key, each in known.items()}
    _check(seen, asked)


def _check(seen: Prices, now: Prices) -> None:
    changes = [
        PriceChange(product_id, seen[product_id].cents, price.cents, price.currency)
        for product_id, price in sorted(now.items())
        if product_id in seen and seen[product_id] not in (price, Price(price.cents))
    ]
    if changes:
        raise PriceChangedError(changes)
