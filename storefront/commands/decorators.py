"""What all commands have in common: the shop, and refusals on one line."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import OperationalError

from core.errors import ShopError
from core.shop import Shop
from storefront.extensions import current_shop

P = ParamSpec("P")
T = TypeVar("T")


def on_shop(command: Callable[Concatenate[Shop, P], T]) -> Callable[P, T]:
    """Give *command* the shop; end a refused one with its reason, not a traceback."""

    @with_appcontext
    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(current_shop(), *args, **kwargs)
        except ShopError as error:
            raise click.ClickException(str(error)) from error
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise click.ClickException(f"the database: {reason}") from error

    return wrapper


def with_schema(command: Callable[Concatenate[Shop, P], T]) -> Callable[P, T]:
    """Give *command* the shop, unless its database lacks this program's schema."""

    @on_shop
    @wraps(command)
    def wrapper(shop: Shop, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not shop.database.is_migrated():
            raise click.ClickException(
                "the database does not have this version's schema; run migrate first"
            )
        return command(shop, *args, **kwargs)

    return wrapper
