"""
Orders: what was sold, what of it is left, and what each day brought.

Invariant: a paid Stripe session has exactly one order, or exactly one refund if its
units were gone.
"""

__all__ = ["orders", "sales", "views"]
