"""Who is logged in: a signed cookie that names the owner and his password's mark."""

import secrets
import time

from itsdangerous import BadData, URLSafeTimedSerializer

from core.database.engine import Database
from core.owner import accounts

COOKIE = "voorraad_owner"
LONGEST_SECONDS = 8 * 3600
RECHECK_SECONDS = 2.0
SALT = "owner-login"


class Logins:
    """
    Opens and closes logins; a new password closes all older ones within seconds.

    A login that was closed by hand is remembered in this process until its cookie is
    too old anyway.
    """

    def __init__(self, database: Database, secret_key: str) -> None:
        self._database = database
        self._signer = URLSafeTimedSerializer(secret_key, salt=SALT)
        self._checked: dict[str, tuple[float, bool]] = {}
        self._closed: dict[str, float] = {}

    def open(self, email: str, password: str) -> str | None:
        """Return the cookie of a new login, or None if either is wrong."""
        with self._database.read() as session:
            mark = accounts.check_password(session, email, password)
        return mark and self._signer.dumps([mark, secrets.token_hex(8)])

    def is_open(self, cookie: str) -> bool:
        try:
            mark, number = self._signer.loads(cookie, max_age=LONGEST_SECONDS)
        except (BadData, ValueError):
            return False
        return number not in self._closed and self._is_login(mark)

    def owner_of(self, cookie: str) -> str:
        """Return the e-mail address of the owner whose login this is, "" if of none."""
        try:
            mark, _number = self._signer.loads(cookie, max_age=LONGEST_SECONDS)
        except (BadData, ValueError):
            return ""
        with self._database.read() as session:
            return accounts.email_of(session, mark)

    def close(self, cookie: str) -> None:
        try:
            _mark, number = self._signer.loads(cookie, max_age=LONGEST_SECONDS)
        except (BadData, ValueError):
            return
        now = time.monotonic()
        recent = {key: end for key, end in self._closed.items() if end > now}
        self._closed = {**recent, number: now + LONGEST_SECONDS}

    def _is_login(self, mark: str) -> bool:
        # A page asks for dozens of files at once, and only marks that were signed here
        # come this far, so that there are never many of them.
        checked_at, known = self._checked.get(mark, (0.0, False))
        if known and time.monotonic() - checked_at < RECHECK_SECONDS:
            return True
        with self._database.read() as session:
            known = accounts.is_login(session, mark)
        self._checked[mark] = (time.monotonic(), known)
        return known
