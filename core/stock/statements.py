"""
The changes of a checkout: promised here, carried out by each database in its own way.

The rule is the WHERE of a statement; no row back means refused. The checkout row
decides for the whole cart and is taken first, then the products in ascending id. So
nothing deadlocks, and no cart is ever half EXPIRED, half CONFIRMED.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from core.database.engine import Executor, Rows, is_postgresql
from core.stock import postgres, sqlite


class Statements(Protocol):
    """
    The changes, for one database; on PostgreSQL each is a single statement.

    All work in the caller's transaction. Those that end a checkout change nothing
    unless it is PENDING.
    """

    def reserve(
        self, executor: Executor, cart: Mapping[int, int], terms: Mapping[str, object]
    ) -> Rows:
        """
        Make a checkout of *terms* and reserve each product of *cart*, or nothing.

        Returns a row for each line: checkout_id, product_id, quantity,
        unit_price_cents, currency, product_name; no row if any line is short or the
        currencies differ. Raises LostRaceError when units went meanwhile.
        """
        ...

    def attach(
        self,
        executor: Executor,
        checkout_id: int,
        stripe_session_id: str,
        *,
        now: datetime,
    ) -> bool:
        """Note the Stripe session of a PENDING checkout; False if it has another."""
        ...

    def end(
        self, executor: Executor, checkout_id: int, ended: Mapping[str, object]
    ) -> bool:
        """End a checkout (status, cause, now), release its units; False if ended."""
        ...

    def end_all(
        self,
        executor: Executor,
        checkout_ids: Collection[int],
        ended: Mapping[str, object],
    ) -> list[int]:
        """
        End many; return the ids of those ended here.

        PostgreSQL skips those that somebody else is changing right now.
        """
        ...

    def confirm(
        self, executor: Executor, checkout_id: int, sale: Mapping[str, object]
    ) -> bool:
        """
        Take the units off, and write the order with its lines and movements.

        *sale* has the columns of the order that do not follow from the reservations
        (columns.PAID), the cause, now, and the event that told of it. Another sum than
        promised, or one that does not add up, makes the order one for REVIEW with an
        entry for the owner. The customer's letter is written, and the event noted.
        False if the checkout was not PENDING.
        """
        ...


def statements_for(executor: Executor) -> Statements:
    """Return the statements of the database that it works on."""
    return postgres if is_postgresql(executor) else sqlite
