"""What Stripe refuses, and in what words: forms, types, lengths and errors."""

__all__ = ["checks", "errors", "forms", "parameters", "stripe_types"]
