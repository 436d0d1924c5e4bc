"""Who is logged in: a signed cookie with the mark of the owner's password."""

import secrets
import time

from itsdangerous import BadData, URLSafeTimedSerializer

from core.database.engine import Database
from core.owner import accounts

COOKIE = "voorraad_owner"
LONGEST_SECONDS = 8 * 3600
RECHECK_SECONDS = 2.0
SALT = "owner-login"
LOGGED_OUT = "U bent uitgelogd. Laad de pagina opnieuw om weer in te loggen."


class Logins:
    """
    Opens and closes logins; a new password closes all older ones within seconds.

    A login that was closed by hand is remembered in this process until its cookie
    expires.
    """

    def __init__(self, database: Database, secret_key: str) -> None:
        self._database = database
        self._signer = URLSafeTimedSerializer(secret_key, salt=SALT)
        self._checked: dict[str, tuple[float, bool]] = {}
        self._closed: dict[str, float] = {}

    def open(self, email: str, password: str) -> str | None:
        """Return the cookie of a new login, or None if either is wrong."""
        mark = accounts.check_password(self._database, email, password)
        return mark and self._signer.dumps([mark, secrets.token_hex(8)])

    def is_open(self, cookie: str) -> bool:
        mark, number = self._read(cookie)
        return bool(mark) and number not in self._closed and self._is_login(mark)

    def owner_of(self, cookie: str) -> str:
        """Return the email address of the owner whose login this is, or ""."""
        mark, _number = self._read(cookie)
        if not mark:
            return ""
        with self._database.read() as session:
            return accounts.email_of(session, mark)

    def close(self, cookie: str) -> None:
        _mark, number = self._read(cookie)
        now = time.monotonic()
        recent = {key: end for key, end in self._closed.items() if end > now}
        self._closed = {**recent, number: now + LONGEST_SECONDS}

    def _read(self, cookie: str) -> tuple[str, str]:
        try:
            mark, number = self._signer.loads(cookie, max_age=LONGEST_SECONDS)
        except (BadData, ValueError):
            return "", ""
        return mark, number

    def _is_login(self, mark: str) -> bool:
        # A page asks for dozens of files at once. Only marks that were signed here come
        # this far, so there are never many.
        checked_at, known = self._checked.get(mark, (0.0, False))
        if known and time.monotonic() - checked_at < RECHECK_SECONDS:
            return True
        with self._database.read() as session:
            known = accounts.is_login(session, mark)
        self._checked[mark] = (time.monotonic(), known)
        return known
