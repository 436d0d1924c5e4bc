"""
What the owner sees and does: figures, history and accounts.

Everything here is read from the rows that other rooms wrote; only accounts are written.
"""

__all__ = [
    "accounts",
    "case",
    "history",
    "networks",
    "reports",
    "to_do_words",
    "to_dos",
]
