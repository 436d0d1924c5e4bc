"""
A shop examined, repaired, copied and backed up.

Invariant: nothing here changes a shop that it was only asked to look at.
"""

__all__ = ["backup", "copying", "doctor"]
