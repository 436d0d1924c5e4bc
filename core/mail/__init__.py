"""
The outbox: letters are written in the transaction that they are about, and sent later.

Invariant: no letter is sent twice unless a person asks for it.
"""

__all__ = ["letter", "outbox", "smtp"]
