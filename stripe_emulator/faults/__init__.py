"""What goes wrong on request: errors, silence, and calls that wait at a barrier."""

__all__ = ["barriers", "injected"]
