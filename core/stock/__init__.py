"""
Units: what there is, who holds them, and the ledger behind both.

Invariant: 0 <= reserved <= stock for every product; reserved is the sum of its PENDING
reservations, stock the sum of its movements.
"""

__all__ = ["holds", "ledger", "limits", "networks", "reservations", "statements"]
