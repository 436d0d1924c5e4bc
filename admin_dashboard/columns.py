"""How columns stand in a table."""

import streamlit as st

# Amounts are text, as the browser would write them in its own language's way.
_RIGHT = st.column_config.TextColumn(alignment="right")
MONEY_COLUMNS = {"Bedrag": _RIGHT, "Blijft over": _RIGHT}
