"""What the pages say, in Dutch: no query, no widget."""

__all__ = ["figures", "history", "orders", "refunds"]
