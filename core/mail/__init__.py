"""
The outbox: mail is written with what it tells about, and sent after that.

Invariant: no mail is sent twice without a person asking for it.
"""

__all__ = ["letter", "outbox", "smtp"]
