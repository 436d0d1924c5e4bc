"""`flask reconcile`: it settles what it can and lists what needs a person."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import update

from core.database.engine import Database
from core.models.checkout import Checkout
from core.models.records import UNKNOWN_SESSION
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import add_product, begin, orders_of

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    def run(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["reconcile", *arguments])

    return run


@pytest.fixture
def paid(shop: Shop, stripe: EmulatorServer) -> str:
    """Give the session of a payment that nobody has reported."""
    page = begin(shop, {add_product(shop.database): 1})
    stripe.pay(page.stripe_session_id)
    return page.stripe_session_id


def forget(shop: Shop) -> None:
    """As in a shop whose database was put back: it has never made that session."""
    forgotten = update(Checkout).values(
        stripe_session_id=None, idempotency_key="of another shop"
    )
    shop.database.write(lambda session: session.execute(forgotten))


def test_a_lost_payment_is_settled_and_told(
    run: Run, paid: str, database: Database
) -> None:
    result = run()

    assert result.exit_code == 0
    assert "1 sessions seen" in result.stdout
    assert "1 settled, 0 closed, 0 entered, 0 kept" in result.stdout
    assert [order.stripe_session_id for order in orders_of(database)] == [paid]


def test_what_needs_a_person_is_listed_and_ends_with_1(
    run: Run, paid: str, shop: Shop
) -> None:
    forget(shop)

    plain, machine = run(), run("--json")

    assert (plain.exit_code, machine.exit_code) == (1, 1)
    assert f"to do: UNKNOWN_SESSION: {paid}, 1250 cents" in plain.stdout
    told: dict[str, Any] = json.loads(machine.stdout)
    assert told["found"]["seen"] == 1
    assert [(each["kind"], each["stripe_id"]) for each in told["to_do"]] == [
        (UNKNOWN_SESSION, paid)
    ]


def test_it_looks_back_as_far_as_it_is_told(run: Run, paid: str) -> None:
    told = json.loads(run("--days", "2", "--json").stdout)

    assert told["found"]["since"] < told["found"]["until"]
    assert told["found"]["seen"] == 1


@pytest.mark.parametrize("days", ["0", "366", "soon"])
def test_days_that_are_none_are_refused(run: Run, days: str) -> None:
    result = run("--days", days)

    assert result.exit_code == 2
    assert "--days" in result.output


def test_an_unreachable_stripe_is_told_in_one_line(
    run: Run, stripe: EmulatorServer
) -> None:
    stripe.fault("list", "status", status=500, times=0)

    result = run()

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output
