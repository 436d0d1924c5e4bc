"""The emulator's own routes under `/_emulator/`, by which tests steer it."""

__all__ = ["routes"]
