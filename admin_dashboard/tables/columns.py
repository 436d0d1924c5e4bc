"""How columns stand in a table."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from admin_dashboard.words.figures import money

# Amounts are text: a browser would write numbers in its own language's way.
_RIGHT = st.column_config.TextColumn(alignment="right")
MONEY_COLUMNS = {"Bedrag": _RIGHT, "Blijft over": _RIGHT}


def show(table: pd.DataFrame, alt: str) -> None:
    """Show *table*, with its amounts on the right."""
    st.dataframe(table, hide_index=True, column_config=MONEY_COLUMNS, alt=alt)


def with_amounts(
    table: pd.DataFrame, columns: Sequence[str], currencies: Sequence[str]
) -> Styler:
    """
    Show *columns* of cents as amounts, each row in its currency.

    A plain table aligns by type: only numbers stand on the right.
    """
    styler = table.style
    for row, currency in enumerate(currencies):
        write = partial(money, currency=currency)
        styler = styler.format(write, subset=pd.IndexSlice[[row], list(columns)])
    return styler
