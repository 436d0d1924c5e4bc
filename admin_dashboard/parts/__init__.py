"""
What several pages are made of: the shop's data, the owner's actions, and parts to show.

Invariant: a page reads by shop_data and writes by acting, in the name of an owner.
"""

__all__ = ["acting", "order_parts", "refund_window", "shop_data"]
