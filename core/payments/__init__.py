"""
Stripe, in the words of the shop: the only room that imports the package `stripe`.

Invariant: a call either returns what Stripe said or raises one of the shop's errors,
and a PaymentError that is no PaymentUnavailableError means that nothing was done.
"""

__all__ = ["countries", "data", "gateway", "offer", "pace", "retry"]
