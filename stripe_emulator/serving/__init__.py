"""What the API, the hosted page and the control routes share."""

__all__ = ["customer", "parts", "server"]
