"""
From a cart to a payment page, and from there to its end.

Invariant: while a Stripe session can be paid, its units stay reserved. They are
released only after Stripe has said that the session is closed.
"""

__all__ = [
    "closing",
    "comparison",
    "events",
    "expiry",
    "late_money",
    "payment_page",
    "prices",
    "reconcile",
    "settlement",
    "tries",
]
