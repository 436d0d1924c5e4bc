"""
Products: what is on sale, and product files in and out.

Invariant: a product file is imported whole or not at all, but for rows that may mean
goods which it leaves out; importing it again changes nothing.
"""

__all__ = ["exporting", "faults", "importing", "products", "report", "vat"]
