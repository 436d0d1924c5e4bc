"""
The words of the shop's letters, in the language of whoever gets them.

They are written when a letter is sent, from the rows that it is about.
"""

__all__ = ["writer"]
