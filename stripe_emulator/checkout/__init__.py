"""Checkout Sessions, and what they are made of: prices, discounts, shipping, payers."""

__all__ = [
    "catalogue",
    "coupons",
    "discounts",
    "limits",
    "objects",
    "payers",
    "promotion_codes",
    "sessions",
    "shipping",
]
