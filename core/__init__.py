"""The rules of the shop: stock, reservations, orders and payments."""

__version__ = "0.1.0"
