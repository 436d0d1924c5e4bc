"""What a route of the API is, and the actions that many routes share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from stripe_emulator.api import lists
from stripe_emulator.state.account import Account, Json


@dataclass(frozen=True)
class Call:
    """One request, with its parameters checked against their types."""

    account: Account
    object_id: str
    params: Json
    request: Json


@dataclass(frozen=True)
class Route:
    name: str
    method: str
    path: str
    params: Any
    act: Callable[[Call], Json]


def one(table: str) -> Callable[[Call], Json]:
    """The action that retrieves an object of *table*."""
    return lambda call: call.account.get(table, call.object_id)


def many(table: str, url: str) -> Callable[[Call], Json]:
    """The action that lists the objects of *table*."""

    def act(call: Call) -> Json:
        rows = call.account.tables[table].values()
        return lists.page(rows, call.params, url=url)

    return act


class Create(Protocol):
    def __call__(
        self, account: Account, params: Json, *, request: Json | None
    ) -> Json: ...


def new(create: Create) -> Callable[[Call], Json]:
    """The action that makes an object by *create*."""
    return lambda call: create(call.account, call.params, request=call.request)
