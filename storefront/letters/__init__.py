"""The words of the shop's letters, written from the rows when a letter is sent."""

__all__ = ["writer"]
