from datetime import datetime

import pytest
from sqlalchemy import select

from core.database.engine import Database
from core.errors import OwnerError
from core.models.owner import Owner
from core.owner import accounts

EMAIL, PASSWORD = "marijke@shop.example", "correct horse"


@pytest.fixture
def marijke(database: Database, now: datetime) -> str:
    """Give the address of an owner who may log in."""
    database.write(lambda s: accounts.set_owner(s, EMAIL, PASSWORD, now=now))
    return EMAIL


def mark(database: Database, email: str, password: str) -> str | None:
    with database.read() as session:
        return accounts.check_password(session, email, password)


def is_login(database: Database, text: str) -> bool:
    with database.read() as session:
        return accounts.is_login(session, text)


def test_a_new_shop_has_no_owner(database: Database) -> None:
    with database.read() as session:
        assert not accounts.has_owner(session)


def test_the_first_owner_is_new(database: Database, now: datetime) -> None:
    is_new = database.write(lambda s: accounts.set_owner(s, EMAIL, PASSWORD, now=now))

    assert is_new
    with database.read() as session:
        assert accounts.has_owner(session)


def test_the_right_password_gives_a_login(database: Database, marijke: str) -> None:
    login = mark(database, marijke, PASSWORD)

    assert login is not None
    assert is_login(database, login)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong"),
        (EMAIL, ""),
        (EMAIL, PASSWORD.upper()),
        ("ben@shop.example", PASSWORD),
        ("", ""),
    ],
)
def test_a_wrong_address_or_password_gives_none(
    database: Database, marijke: str, email: str, password: str
) -> None:
    assert mark(database, email, password) is None


def test_the_password_of_nobody_opens_nothing(database: Database) -> None:
    assert mark(database, "nobody@shop.example", "nobody") is None


def test_an_address_is_the_same_in_capitals(database: Database, marijke: str) -> None:
    assert mark(database, f" {marijke.upper()} ", PASSWORD) is not None


def test_a_new_password_ends_the_old_one_and_every_login(
    database: Database, marijke: str, now: datetime
) -> None:
    old = mark(database, marijke, PASSWORD)

    is_new = database.write(
        lambda s: accounts.set_owner(s, marijke.upper(), "battery staple", now=now)
    )

    assert not is_new
    assert old is not None
    assert not is_login(database, old)
    assert mark(database, marijke, PASSWORD) is None
    assert mark(database, marijke, "battery staple") is not None


@pytest.mark.parametrize(
    "text", ["", "1", ":", "1:", "x:y", "-1:a", "999:a", "\u00b2:a"]
)
def test_what_stands_for_no_owner_is_no_login(
    database: Database, marijke: str, text: str
) -> None:
    assert not is_login(database, text)


def test_a_password_is_kept_as_a_hash_alone(database: Database, marijke: str) -> None:
    with database.read() as session:
        kept = session.scalars(select(Owner.password_hash)).one()

    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


@pytest.mark.parametrize(
    ("email", "password"),
    [("owner", PASSWORD), ("@", PASSWORD), ("", PASSWORD), (EMAIL, "1234567")],
)
def test_no_owner_without_an_address_and_a_long_password(
    database: Database, now: datetime, email: str, password: str
) -> None:
    with pytest.raises(OwnerError):
        database.write(lambda s: accounts.set_owner(s, email, password, now=now))

    with database.read() as session:
        assert not accounts.has_owner(session)


def test_a_password_of_eight_characters_is_long_enough(
    database: Database, now: datetime
) -> None:
    assert database.write(lambda s: accounts.set_owner(s, EMAIL, "12345678", now=now))
