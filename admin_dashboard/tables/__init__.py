"""What the pages show as tables and charts: no query, no decision."""

__all__ = ["columns", "export", "money", "orders", "stock_chart"]
