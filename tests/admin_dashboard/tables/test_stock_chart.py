from typing import Any

from admin_dashboard.tables.stock_chart import chart_height, stock_chart
from core.owner.reports import StockLevel


def level(number: int, name: str, *, stock: int = 5, reserved: int = 2) -> StockLevel:
    return StockLevel(number, f"SKU-{number}", name, stock, reserved)


def bars(levels: list[StockLevel]) -> list[dict[str, Any]]:
    [values] = stock_chart(levels).to_dict()["datasets"].values()
    return list(values)


def test_reserved_and_available_stack_up_to_the_stock():
    found = bars([level(1, "Kop", stock=5, reserved=2)])

    assert [(bar["part"], bar["units"]) for bar in found] == [
        ("Gereserveerd", 2),
        ("Beschikbaar", 3),
    ]


def test_products_of_one_name_have_a_bar_each():
    found = bars([level(1, "Kop"), level(2, "Kop"), level(3, "Vaas")])

    assert {bar["product"] for bar in found} == {
        "Kop (SKU-1 1)",
        "Kop (SKU-2 2)",
        "Vaas",
    }


def test_the_bars_keep_the_order_of_the_list():
    sort = stock_chart([level(1, "Vaas"), level(2, "Kop")]).to_dict()["encoding"]["y"]

    assert sort["sort"] == ["Vaas", "Kop"]


def test_each_further_bar_has_the_same_room():
    heights = [chart_height([level(1, "Kop")] * count) for count in (1, 2, 3)]

    assert heights[2] - heights[1] == heights[1] - heights[0] > 0
