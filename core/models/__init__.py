"""
The tables, by room. Money is whole cents, times are UTC, quantities are units.

Invariant: the CHECK constraints are the second line behind every rule, so that no bug
and no edit by hand can sell what is not there.
"""

__all__ = [
    "base",
    "catalogue",
    "checkout",
    "every",
    "mail",
    "orders",
    "owner",
    "records",
    "refunds",
    "stock",
]
