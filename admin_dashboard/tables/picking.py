"""
Tables whose rows can be picked: a pick is of the row that was on the screen.

The browser tells a position in the table that it shows, and a table that refreshes may
have other rows by then. So a table of other rows is another widget, and a position is
looked up in the rows that its own widget was drawn with.
"""

from collections.abc import Sequence
from hashlib import blake2b

import pandas as pd
import streamlit as st

from admin_dashboard.tables.columns import MONEY_COLUMNS


def picked(name: str) -> int | None:
    """Return the id of the row picked in the table *name* as drawn last, if any."""
    if _drawn(name) not in st.session_state:
        return None
    key, ids = st.session_state[_drawn(name)]
    picks = st.session_state.get(key)
    rows = picks["selection"]["rows"] if picks else []
    return int(ids[rows[0]]) if rows else None


def show(name: str, ids: Sequence[int], table: pd.DataFrame, alt: str) -> None:
    """Show *table*, whose rows have these *ids*, with its amounts on the right."""
    key = f"{name}-{blake2b(repr(ids).encode(), digest_size=8).hexdigest()}"
    st.session_state[_drawn(name)] = (key, ids)
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        column_config=MONEY_COLUMNS,
        alt=alt,
    )


def _drawn(name: str) -> str:
    return f"drawn {name}"
