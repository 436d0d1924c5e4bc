"""
A shop that had been at work is carried over by the migrations after revision 0005.

`shop_at_0005.json` holds all its rows, as a shop of that revision wrote them against
the stand-in for Stripe: sales, late money, refunds in every state, disputes, delayed
payments, letters and what its owner did. *told* is what that program told of them when
its doctor had found nothing to report.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import (
    Connection,
    Date,
    DateTime,
    MetaData,
    Table,
    create_engine,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Session

from core.database.engine import Database, connect
from core.database.schema import alembic_config
from core.maintenance import doctor
from core.models.checkout import Checkout
from core.models.orders import Order
from core.models.refunds import Refund
from core.orders import sales, views
from core.owner import history, to_dos
from core.refunds import owed, refunds
from core.stock import ledger
from tests.factories import ask, assert_invariants, levels, reserved

REVISION = "0005"
SHOP = json.loads((Path(__file__).parent / f"shop_at_{REVISION}.json").read_text())
NOW = datetime.fromisoformat(SHOP["now"])
TOLD = SHOP["told"]


@pytest.fixture
def carried_over(empty_url: str) -> Iterator[Database]:
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), REVISION)
        _fill(connection)
    engine.dispose()
    opened = connect(empty_url)
    opened.migrate()
    yield opened
    opened.engine.dispose()


def _fill(connection: Connection) -> None:
    for name, kept in SHOP["tables"].items():
        table = Table(name, MetaData(), autoload_with=connection)
        columns = [table.c[column] for column in kept["columns"]]
        rows = [
            {
                column.name: _read(column.type, value)
                for column, value in zip(columns, row, strict=True)
            }
            for row in kept["rows"]
        ]
        connection.execute(insert(table), rows)
        if connection.dialect.name == "postgresql" and table.c[0].autoincrement is True:
            last = f"(SELECT max(id) FROM {name})"  # noqa: S608 (our own name)
            sequence = f"pg_get_serial_sequence('{name}', 'id')"
            connection.execute(text(f"SELECT setval({sequence}, {last})"))


def _read(kind: object, value: Any) -> object:
    if isinstance(value, str) and isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(kind, Date) and value else value


def _told(session: Session) -> dict[str, Any]:
    """Return what this program tells of the shop, in the same form."""
    orders = views.views(session, select(Order).order_by(Order.id))
    rows = session.scalars(select(Refund).order_by(Refund.id)).all()
    checkouts = session.scalars(select(Checkout).order_by(Checkout.id)).all()
    pages = [c.stripe_session_id for c in checkouts if c.stripe_session_id]
    told = {
        "orders": {
            order.number: [
                *(order.status, order.amount_cents, order.refunded_cents),
                *(order.left_cents, order.vat_left),
                [[line.quantity, line.returned] for line in order.lines],
            ]
            for order in orders
        },
        "owed_cents": {refund.id: owed.cents(session, refund) for refund in rows},
        "sent_back": sorted(p for p in pages if refunds.was_sent_back(session, p)),
        "open_entries": [e.id for e in to_dos.entries(session) if not e.done_at],
    }
    read: dict[str, Any] = json.loads(json.dumps(told))
    return read


def test_all_that_was_told_of_a_shop_is_told_of_it_after_the_migrations(
    carried_over: Database,
) -> None:
    told = ask(carried_over, _told)

    assert told == {name: TOLD[name] for name in told}


def test_the_doctor_is_content_with_a_shop_that_was_carried_over(
    carried_over: Database,
) -> None:
    assert ask(carried_over, doctor.examine) == []
    assert_invariants(carried_over)


def test_no_step_of_a_history_is_lost(carried_over: Database) -> None:
    def count(session: Session) -> dict[str, int]:
        return {n: len(history.steps(session, int(n))) for n in TOLD["steps"]}

    now = ask(carried_over, count)

    assert {n: steps for n, steps in now.items() if steps < TOLD["steps"][n]} == {}


def test_the_days_of_a_shop_still_sum_up_to_its_sales(carried_over: Database) -> None:
    sales.roll_up(carried_over, now=NOW)

    assert ask(carried_over, sales.total) == tuple(TOLD["sales"])
    assert ask(carried_over, lambda session: list(sales.drift(session))) == []


def test_a_shop_that_was_carried_over_goes_on_selling(carried_over: Database) -> None:
    product_id, held = 1, 3
    stock, before = levels(carried_over, product_id)
    carried_over.write(lambda s: ledger.receive(s, product_id, held, now=NOW))

    reserved(carried_over, {product_id: held}, NOW)

    assert levels(carried_over, product_id) == (stock + held, before + held)
    assert ask(carried_over, doctor.examine) == []
