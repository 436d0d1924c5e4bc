"""
The tables, by room. Money is whole cents, times are UTC, quantities are units.

Invariant: CHECK constraints stand behind the rules, so that neither a bug nor an edit
by hand can sell what is not there.
"""

__all__ = [
    "base",
    "catalogue",
    "checkout",
    "every",
    "limits",
    "mail",
    "orders",
    "owner",
    "records",
    "refunds",
    "stock",
]
