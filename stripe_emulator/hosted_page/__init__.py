"""The page on which a customer pays, `/c/pay/`, and the list of payments at `/`."""

__all__ = ["pages", "words"]
