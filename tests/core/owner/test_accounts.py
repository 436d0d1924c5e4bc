from datetime import datetime
from functools import partial
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import QueuePool, select

from core.database.engine import Database
from core.errors import OwnerError
from core.models.owner import Owner
from core.owner import accounts
from tests.factories import at_once

EMAIL, PASSWORD = "marijke@shop.example", "correct horse"


@pytest.fixture
def marijke(database: Database, now: datetime) -> str:
    """Give the address of an owner who may log in."""
    accounts.set_owner(database, EMAIL, PASSWORD, now=now)
    return EMAIL


def mark(database: Database, email: str, password: str) -> str | None:
    return accounts.check_password(database, email, password)


def is_login(database: Database, text: str) -> bool:
    with database.read() as session:
        return accounts.is_login(session, text)


def test_a_new_shop_has_no_owner(database: Database) -> None:
    with database.read() as session:
        assert not accounts.has_owner(session)


def test_the_first_owner_is_new(database: Database, now: datetime) -> None:
    is_new = accounts.set_owner(database, EMAIL, PASSWORD, now=now)

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

    is_new = accounts.set_owner(database, marijke.upper(), "battery staple", now=now)

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
        accounts.set_owner(database, email, password, now=now)

    with database.read() as session:
        assert not accounts.has_owner(session)


def test_a_password_of_eight_characters_is_long_enough(
    database: Database, now: datetime
) -> None:
    assert accounts.set_owner(database, EMAIL, "12345678", now=now)


class _Watched(PasswordHasher):
    """Hashes as cheaply as all tests do, and counts connections in use meanwhile."""

    def __init__(self, database: Database) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self._pool = database.engine.pool
        self.in_use: list[int] = []

    def hash(self, *told: Any, **options: Any) -> str:
        self._look()
        return super().hash(*told, **options)

    def verify(self, *told: Any) -> Literal[True]:
        self._look()
        return super().verify(*told)

    def _look(self) -> None:
        assert isinstance(self._pool, QueuePool)
        self.in_use.append(self._pool.checkedout())


def test_nobody_waits_for_the_database_while_a_password_is_hashed(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = _Watched(database)
    monkeypatch.setattr(accounts, "_hasher", watched)

    accounts.set_owner(database, EMAIL, PASSWORD, now=now)
    accounts.add_owner(database, EMAIL, PASSWORD, shortest=1, now=now)
    accounts.check_password(database, EMAIL, PASSWORD)
    accounts.check_password(database, "nobody@shop.example", PASSWORD)

    assert watched.in_use == [0, 0, 0, 0]


def test_one_owner_set_from_several_places_at_once_is_one(
    database: Database, now: datetime
) -> None:
    for number in range(5):
        email = f"{number}@shop.example"
        words = [f"battery {turn}" for turn in range(6)]
        told = at_once(
            [
                partial(accounts.set_owner, database, email, each, now=now)
                for each in words
            ]
        )

        assert sorted(map(str, told)) == [*["False"] * 5, "True"]
        fits = [mark(database, email, each) is not None for each in words]
        assert fits.count(True) == 1


def test_a_first_owner_keeps_the_password_of_the_start_that_came_first(
    database: Database, now: datetime
) -> None:
    add = partial(accounts.add_owner, database, EMAIL, shortest=1, now=now)

    told = [add("the first"), add("the second")]

    assert told == [True, False]
    assert mark(database, EMAIL, "the first") is not None
    assert mark(database, EMAIL, "the second") is None
