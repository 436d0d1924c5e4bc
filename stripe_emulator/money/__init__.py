"""What pays a session and what comes back: payments, refunds, disputes."""

__all__ = [
    "disputes",
    "payment_intents",
    "payment_methods",
    "payment_pages",
    "payments",
    "refunds",
]
