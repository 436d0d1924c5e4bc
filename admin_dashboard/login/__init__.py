"""Who may in: the login's pages, and the gate in front of everything else."""

__all__ = ["gate", "logins", "pages"]
