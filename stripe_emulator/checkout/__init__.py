"""Checkout Sessions, and what they are made of: prices, discounts, shipping, payers."""

__all__ = [
    "catalogue",
    "coupons",
    "discounts",
    "payers",
    "promotion_codes",
    "session_object",
    "sessions",
    "shipping",
]
