"""How columns stand in a table."""

import streamlit as st

# Amounts are text, as the browser would write them in its own language's way.
MONEY_COLUMNS = {"Bedrag": st.column_config.TextColumn(alignment="right")}
