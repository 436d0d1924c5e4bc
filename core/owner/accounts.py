"""
Who may open the dashboard. Passwords are kept as argon2 hashes only.

A hash takes a tenth of a second on purpose, so none is made while a transaction is open
or a connection is in use: on SQLite nobody else can write meanwhile.
"""

from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database.engine import Database
from core.database.rows import change, insert_once
from core.errors import OwnerError
from core.models.owner import Owner

SHORTEST_PASSWORD = 8

_hasher = PasswordHasher()
# Verified if there is no such owner, so that the answer takes just as long.
_NOBODY = _hasher.hash("nobody")


def has_owner(session: Session) -> bool:
    """Tell whether anybody may open the dashboard."""
    return session.scalar(select(Owner.id).limit(1)) is not None


def set_owner(
    database: Database,
    email: str,
    password: str,
    *,
    shortest: int = SHORTEST_PASSWORD,
    now: datetime,
) -> bool:
    """
    Create an owner, or give an existing one a new password; return whether it is new.

    Safe to repeat and from two places at once. Raises OwnerError for an invalid email
    address, or a password of fewer characters than *shortest*.
    """
    values = _checked(email, password, shortest) | {"created_at": now}

    def work(session: Session) -> bool:
        if insert_once(session, Owner, values) is not None:
            return True
        is_theirs, kept = Owner.email == values["email"], values["password_hash"]
        change(session, Owner, is_theirs, password_hash=kept)
        return False

    return database.write(work)


def add_owner(
    database: Database, email: str, password: str, *, shortest: int, now: datetime
) -> bool:
    """
    Create an owner unless this one is there, who keeps their password; as set_owner.

    Returns whether the owner is new.
    """
    values = _checked(email, password, shortest) | {"created_at": now}
    return database.write(lambda s: insert_once(s, Owner, values)) is not None


def _checked(email: str, password: str, shortest: int) -> dict[str, object]:
    """Return the columns of an owner; OwnerError for what cannot be one."""
    email = email.strip().lower()
    if "@" not in email.strip("@"):
        raise OwnerError(f"{email!r} is not an email address")
    if len(password) < shortest:
        raise OwnerError(f"the password needs {shortest} characters or more")
    return {"email": email, "password_hash": _hasher.hash(password)}


def check_password(database: Database, email: str, password: str) -> str | None:
    """
    Return the mark of this owner's login, or None if address or password is wrong.

    It changes with the password, so that a new password ends all older logins.
    """
    is_theirs = Owner.email == email.strip().lower()
    with database.read() as session:
        owner = session.scalar(select(Owner).where(is_theirs))
    try:
        _hasher.verify(owner.password_hash if owner else _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return None
    return _mark(owner) if owner else None


def is_login(session: Session, mark: str) -> bool:
    """Tell whether *mark* is that of an owner with their present password."""
    return bool(email_of(session, mark))


def email_of(session: Session, mark: str) -> str:
    """Return the email address of the owner whose login *mark* stands for, or ""."""
    owner_id = mark.partition(":")[0]
    if not owner_id.isdecimal():
        return ""
    owner = session.get(Owner, int(owner_id))
    return owner.email if owner and mark == _mark(owner) else ""


def _mark(owner: Owner) -> str:
    return f"{owner.id}:{owner.password_hash[-12:]}"


def emails(session: Session) -> list[str]:
    """Return the email addresses of all owners, the first owner's first."""
    return list(session.scalars(select(Owner.email).order_by(Owner.id)))
