"""Stock, with what is reserved of it: a bar for each product."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from core.owner.reports import StockLevel

RESERVED = "Gereserveerd"
AVAILABLE = "Beschikbaar"
# They differ in brightness, too, for people who are colour-blind.
COLOURS = {RESERVED: "#c8791b", AVAILABLE: "#1f4b6b"}
TIPS = {"product": "Product", "part": "Deel", "units": "Stuks", "stock": "Voorraad"}
INK = "#2a2622"
BAR_PIXELS = 26
FRAME_PIXELS = 150


def stock_chart(levels: Sequence[StockLevel]) -> alt.Chart:
    names = _labels(levels)
    chart: alt.Chart = (
        alt.Chart(_parts(levels, names))
        .mark_bar(cornerRadius=2, stroke="#fffdf9", strokeWidth=1)
        .encode(
            x=alt.X("units:Q", title="Voorraad (stuks)").axis(
                tickMinStep=1, format="d", labelColor=INK, titleColor=INK
            ),
            y=alt.Y("product:N", title=None, sort=names).axis(
                labelOverlap=False, labelFlush=False, labelLimit=220, labelColor=INK
            ),
            color=alt.Color("part:N", title=None)
            .scale(domain=list(COLOURS), range=list(COLOURS.values()))
            .legend(orient="top", direction="vertical", labelColor=INK),
            order=alt.Order("order:Q"),
            tooltip=[alt.Tooltip(part, title=title) for part, title in TIPS.items()],
        )
    )
    return chart


def chart_height(levels: Sequence[StockLevel]) -> int:
    return len(levels) * BAR_PIXELS + FRAME_PIXELS


def _labels(levels: Sequence[StockLevel]) -> list[str]:
    """Return a name for each bar; bars with the same name would merge."""
    names = [level.name for level in levels]
    return [
        level.name
        if names.count(level.name) == 1
        else f"{level.name} ({level.sku or 'nr.'} {level.product_id})"
        for level in levels
    ]


def _parts(levels: Sequence[StockLevel], names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product": name,
            "part": part,
            "order": order,
            "units": units,
            "stock": level.stock,
        }
        for level, name in zip(levels, names, strict=True)
        for order, (part, units) in enumerate(
            ((RESERVED, level.reserved), (AVAILABLE, level.available))
        )
    )
