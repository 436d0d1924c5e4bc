"""
Where everything is kept: engines, transactions and migrations.

Invariant: a write is committed whole or not at all, and nobody is answered before that.
It runs on SQLite and on PostgreSQL; what differs between them stays in here, but for
the statements of `stock`.
"""

__all__ = ["engine", "locks", "rows", "schema"]
