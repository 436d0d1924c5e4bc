"""
Who may in: the login's pages, and the gate in front of everything else.

Invariant: without an open login nothing that Streamlit serves leaves this process.
"""

__all__ = ["gate", "logins", "pages"]
