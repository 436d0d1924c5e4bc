"""The emulated account: its objects, its clock, and what outlives a restart."""

__all__ = ["account", "clock", "idempotency", "snapshot"]
