"""Stripe's API under `/v1`: its routes, its lists, and how a call is answered."""

__all__ = ["calls", "routes"]
