"""
Money that goes back: refunds, disputes and returned goods.

Invariant: of a payment never more goes back than was paid, and each refund goes once.
"""

__all__ = [
    "disputes",
    "owed",
    "progress",
    "refunds",
    "returns",
    "sending",
    "stripe_reports",
    "views",
]
