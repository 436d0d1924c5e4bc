import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from core.database.engine import Database
from core.models.checkout import CANCELLED
from core.models.records import TOO_LATE
from core.orders import sales
from core.owner import reports
from core.owner.reports import StockLevel
from core.refunds import progress, refunds
from core.refunds import views as refund_views
from core.stock import reservations
from core.stock.reservations import Closed
from tests.factories import add_product, ask, change, payment_of, reserved, sold


@pytest.mark.parametrize(
    ("text", "skus"), [("%", ["a%"]), ("_", ["a_"]), ("mug", ["a%", "a_"])]
)
def test_the_owners_search_takes_every_character_as_it_is(
    database: Database, text: str, skus: list[str]
) -> None:
    for sku in ("a%", "a_"):
        change(database, add_product(database, name="Mug"), sku=sku)

    found = ask(database, lambda s: reports.stock_levels(s, text=text))

    assert [level.sku for level in found] == skus


def test_of_the_open_reservations_the_first_to_end_is_on_top(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database, name="Mug"), add_product(database, name="Cup")
    late = reserved(database, {mug: 1}, now, minutes=15)
    soon = reserved(database, {cup: 2, mug: 1}, now, minutes=5)
    gone = reserved(database, {mug: 1}, now, minutes=1)
    database.write(lambda s: reservations.end(s, gone, Closed(CANCELLED, "x"), now=now))

    rows = ask(database, reports.open_reservations)

    assert [(row.checkout_id, row.product_name, row.quantity) for row in rows] == [
        (soon, "Mug", 1),
        (soon, "Cup", 2),
        (late, "Mug", 1),
    ]
    assert rows[0].expires_at == now + timedelta(minutes=5)
    assert not rows[0].awaits_payment


def test_totals_sum_up_the_shop(database: Database, now: datetime) -> None:
    mug = add_product(database, stock_units=5)
    add_product(database, stock_units=3)
    sold(database, {mug: 1}, now)
    reserved(database, {mug: 2}, now, minutes=5)
    reserved(database, {mug: 1}, now, minutes=15)

    totals = ask(
        database, lambda s: reports.totals(s, now + timedelta(minutes=5, seconds=1))
    )

    assert (totals.products, totals.stock, totals.reserved) == (2, 7, 3)
    assert (totals.open_checkouts, totals.overdue_checkouts) == (2, 1)
    assert (totals.orders, totals.paid_cents) == (1, 1250)


def test_the_totals_of_an_empty_shop_are_nothing(
    database: Database, now: datetime
) -> None:
    totals = ask(database, lambda s: reports.totals(s, now))

    assert set(vars(totals).values()) == {0}


def test_the_newest_order_comes_first(database: Database, now: datetime) -> None:
    mug = add_product(database)
    sold(database, {mug: 1}, now, session_id="cs_1")
    sold(database, {mug: 1}, now, session_id="cs_2")
    sold(database, {mug: 1}, now - timedelta(days=1), session_id="cs_3")

    listed = ask(database, reports.orders)
    newest = ask(database, lambda s: reports.orders(s, limit=1))

    assert [order.stripe_session_id for order in listed] == ["cs_3", "cs_2", "cs_1"]
    assert newest == listed[:1]


@pytest.mark.parametrize(
    ("text", "sessions"),
    [
        ("", ["cs_2", "cs_1"]),
        ("%", ["cs_2"]),
        ("vries", ["cs_1"]),
        ("cs_1", ["cs_1"]),
        ("mug", ["cs_2", "cs_1"]),
        ("cup", ["cs_2"]),
        ("nobody", []),
        ("9" * 40, []),
    ],
)
def test_orders_are_found_by_what_is_in_them(
    database: Database, now: datetime, text: str, sessions: list[str]
) -> None:
    mug, cup = add_product(database, name="Mug"), add_product(database, name="Cup")
    sold(database, {mug: 1}, now, session_id="cs_1")
    sold(database, {mug: 1, cup: 1}, now, session_id="cs_2", name="100% Ben")

    found = ask(database, lambda s: reports.orders(s, text=text))

    assert [order.stripe_session_id for order in found] == sessions


@pytest.mark.parametrize("prefix", ["", "#"])
def test_an_order_is_found_by_its_number(
    database: Database, now: datetime, prefix: str
) -> None:
    sold(database, {add_product(database, name="Mug"): 1}, now)
    (order,) = ask(database, reports.orders)

    found = ask(database, lambda s: reports.orders(s, text=f"{prefix}{order.number}"))

    assert order in found


def test_what_is_reserved_most_is_on_top_of_the_stock(
    database: Database, now: datetime
) -> None:
    add_product(database, stock_units=9, name="Plenty")
    few = add_product(database, stock_units=1, name="Few")
    held = add_product(database, stock_units=5, name="Held")
    reserved(database, {held: 2}, now)

    listed = ask(database, reports.stock_levels)
    found = ask(database, reports.stock_levels)

    sku = listed[0].sku
    assert listed[0] == StockLevel(held, sku, "Held", stock=5, reserved=2)
    assert listed[0].available == 3
    assert [level.name for level in found] == ["Held", "Few", "Plenty"]
    assert found[1].product_id == few


def test_what_a_person_must_look_at_is_counted(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    sold(database, {mug: 1}, now, cents=1)
    checkout_id = sold(database, {mug: 1}, now, session_id="cs_2")
    payment = payment_of("cs_3", intent="pi_3")
    database.write(
        lambda s: refunds.request_automatic(
            s, checkout_id, payment, kind=TOO_LATE, now=now
        )
    )
    before = ask(database, lambda s: reports.attention(s, now))
    (refund,) = ask(database, refund_views.refunds)

    database.write(lambda s: progress.fail(s, refund.id, failure="refused", now=now))
    after = ask(database, lambda s: reports.attention(s, now))

    assert (before.orders_to_review, before.refunds_open) == (1, 1)
    assert after.refunds_open == 0
    assert (refund.status, refund.amount_cents) == ("REQUESTED", 1250)


def test_checkouts_are_counted_only_so_far(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_COUNTED", 2)
    mug = add_product(database)
    counts = []
    for _ in range(4):
        reserved(database, {mug: 1}, now, minutes=5)
        totals = ask(database, lambda s: reports.totals(s, now + timedelta(hours=1)))
        counts.append((totals.open_checkouts, totals.overdue_checkouts))

    assert counts == [(1, 1), (2, 2), (3, 3), (3, 3)]


def test_what_a_person_must_look_at_is_counted_only_so_far(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_COUNTED", 2)
    mug = add_product(database)
    for number in range(4):
        sold(database, {mug: 1}, now, session_id=f"cs_{number}", cents=1)

    assert ask(database, lambda s: reports.attention(s, now)).orders_to_review == 3


def test_of_many_open_carts_the_first_lines_to_end_are_listed(
    database: Database, now: datetime
) -> None:
    mug, cup = add_product(database), add_product(database)
    for minutes in (3, 1, 2):
        reserved(database, {mug: 1, cup: 1}, now, minutes=minutes)

    rows = ask(database, lambda s: reports.open_reservations(s, limit=3))

    ends = [now + timedelta(minutes=minutes) for minutes in (1, 1, 2)]
    assert [row.expires_at for row in rows] == ends


def plans(database: Database, question: Callable[[Session], object]) -> str:
    """Return how the database goes about the statements of a *question*."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, sql: str, values: Any, *_: object) -> None:
        asked.append((sql, values))

    event.listen(database.engine, "before_cursor_execute", note)
    ask(database, question)
    event.remove(database.engine, "before_cursor_execute", note)
    selects = [each for each in asked if each[0].startswith("SELECT")]
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.engine.connect() as connection:
        if not database.is_sqlite:  # it reads small tables as a whole, and rightly so
            connection.exec_driver_sql("SET enable_seqscan = off")
        rows = [
            row
            for sql, values in selects
            for row in connection.exec_driver_sql(f"{explain} {sql}", values)
        ]
        connection.invalidate()
    return "\n".join(str(row[-1]) for row in rows)


def test_a_glance_goes_along_indexes_so_that_the_past_costs_nothing(
    database: Database, now: datetime
) -> None:
    sold(database, {add_product(database): 1}, now - timedelta(days=2))
    sales.roll_up(database, now=now)

    def glance(session: Session) -> None:
        reports.totals(session, now)
        reports.attention(session, now)
        reports.open_reservations(session)

    plan = plans(database, glance)

    for index in (
        "ix_checkout_due",
        "ix_orders_created_at",
        "ix_orders_to_review",
        "ix_mail_due",
        "ix_mail_not_arrived",
        "ix_refund_open",
    ):
        assert index in plan
    whole = r"(?:Seq Scan on|SCAN) (\w+)(?! USING)\b"
    assert {*re.findall(whole, plan)} - {"anon_1"} <= {"product", "sales_day"}
