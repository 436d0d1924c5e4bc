"""Orders as the owner reads them, and as a spreadsheet does."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from admin_dashboard.tables import orders as order_tables
from admin_dashboard.tables.export import csv_of
from core.orders.views import OrderLineView, OrderView

ORDER = OrderView(
    number=7,
    checkout_id=9,
    token="token",
    status="PAID",
    was_late=False,
    created_at=datetime(2026, 11, 22, 13, 32, tzinfo=UTC),
    amount_cents=2695,
    currency="eur",
    promised_cents=2300,
    promised_currency="eur",
    customer_name="Marijke",
    customer_email="m@klant.example",
    stripe_session_id="cs_1",
    payment_intent="pi_1",
    discount_cents=100,
    promotion_code="HERFST",
    shipping_cents=495,
    shipping_option="Afhalen",
    tax_cents=0,
    refunded_cents=0,
    customer_phone="",
    shipping_name="Marijke",
    shipping_address={"line1": "Dorpsstraat 1", "city": "Utrecht", "country": "BE"},
    fulfilled_at=None,
    refund_under_way=False,
    lost_cents=0,
    is_disputed=False,
    lines=(
        OrderLineView(1, "Kop", 1, 1210, 2100),
        OrderLineView(2, "Boek", 2, 545, 900),
    ),
)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "Betaald"),
        ({"is_disputed": True}, "Betaald, betwist"),
        ({"is_disputed": True, "status": "FULFILLED"}, "Verzonden, betwist"),
        ({"lost_cents": 2695}, "Teruggehaald"),
        ({"status": "REFUNDED", "refunded_cents": 2695}, "Terugbetaald"),
        (
            {"status": "REFUNDED", "refunded_cents": 2695, "refund_under_way": True},
            "Terugbetaling onderweg",
        ),
    ],
)
def test_the_status_tells_what_became_of_the_money(
    change: dict[str, object], status: str
):
    [row] = order_tables.of_orders([replace(ORDER, **change)]).to_dict("records")  # type: ignore[arg-type]  # passed on as they are

    assert row["Status"] == status


def test_a_sale_without_vat_is_called_exempt_and_has_no_column_of_vat():
    exempt = replace(ORDER, is_vat_exempt=True)

    [row] = order_tables.of_orders([exempt]).to_dict("records")
    sheet = order_tables.for_a_sheet([exempt])

    assert row["Btw"] == "vrijgesteld"
    assert [name for name in sheet.columns if name.startswith("Btw")] == []


def test_the_list_tells_how_the_goods_leave():
    [row] = order_tables.of_orders([ORDER]).to_dict("records")

    assert row["Verzending"] == "Afhalen"


def test_a_sheet_has_numbers_and_an_address():
    refunded = replace(ORDER, refunded_cents=695)
    [head, line] = csv_of(order_tables.for_a_sheet([refunded])).decode().splitlines()
    row = dict(zip(head.split(";"), line.split(";"), strict=True))

    assert row["Wanneer"] == "2026-11-22 14:32"
    assert (row["Goederen"], row["Korting"]) == ("23,00", "-1,00")
    assert (row["Verzendkosten"], row["Betaald"]) == ("4,95", "26,95")
    assert (row["Terugbetaald"], row["Blijft over"]) == ("-6,95", "20,00")
    assert (row["Btw 21%"], row["Btw 9%"]) == ("1,83", "0,78")
    assert (row["Adres"], row["Plaats"], row["Land"]) == (
        "Dorpsstraat 1",
        "Utrecht",
        "België",
    )
