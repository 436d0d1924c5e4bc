"""
The changes of a checkout: promised here, carried out by each database in its own way.

The rule is the WHERE of a statement; no row back means refused. The checkout row
decides for the whole cart and is taken first, then the products in ascending id. So
nothing deadlocks, and no cart is ever half EXPIRED, half CONFIRMED.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from core.database.engine import Executor, Rows, Values, is_postgresql
from core.stock import postgres, sqlite


class Statements(Protocol):
    """
    The changes, for one database; on PostgreSQL each is a single statement.

    All work in the caller's transaction, and all but reserve change nothing unless the
    checkout is PENDING: then they return False. See `reservations` and orders.confirm.
    """

    def reserve(
        self, executor: Executor, cart: Mapping[int, int], terms: Values
    ) -> Rows:
        """
        Return a row for each line: checkout_id, product_id, quantity, price and so on.

        No row if any line is short or the currencies differ; LostRaceError when units
        went meanwhile. *terms* are columns.TERMS.
        """
        ...

    def attach(self, executor: Executor, checkout_id: int, session: Values) -> bool:
        """Note its session: stripe_session_id, now; False if it has another."""
        ...

    def end(self, executor: Executor, checkout_id: int, ended: Values) -> bool:
        """Release its units; *ended* is status, cause, is_unpaid, now."""
        ...

    def end_all(
        self, executor: Executor, checkout_ids: Collection[int], ended: Values
    ) -> list[int]:
        """Return the ids of those ended here."""
        ...

    def confirm(self, executor: Executor, checkout_id: int, sale: Values) -> bool:
        """
        Write the order; *sale* is columns.PAID, cause, now, event and what was paid.

        Another sum than promised, or one that does not add up, makes it one for REVIEW
        with an entry for the owner.
        """
        ...


def statements_for(executor: Executor) -> Statements:
    """Return the statements of the database that it works on."""
    return postgres if is_postgresql(executor) else sqlite
