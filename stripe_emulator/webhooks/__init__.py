"""Events on their way to the shop."""

__all__ = ["deliveries", "posting", "signing"]
