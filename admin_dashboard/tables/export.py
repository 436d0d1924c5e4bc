"""Tables as CSV files that a Dutch spreadsheet opens well."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

# A spreadsheet reads such a cell as a formula, and customers choose their names.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


def show_button(table: Callable[[], pd.DataFrame], file_name: str) -> None:
    """Show a button to download *table*, which is made when it is pressed."""
    st.download_button(
        "Exporteer als CSV",
        lambda: csv_of(table()),
        file_name=file_name,
        mime="text/csv",
        on_click="ignore",
    )


def csv_of(table: pd.DataFrame) -> bytes:
    """Return *table* as CSV: semicolons, 12,50 for an amount, no formulas."""
    text: str = table.map(_harmless).to_csv(
        index=False, sep=";", decimal=",", float_format="%.2f"
    )
    return text.encode("utf-8-sig")  # without the mark a spreadsheet guesses wrong


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell.lstrip().startswith(FORMULA_BEGINNINGS):
        return f"'{cell}"
    return cell
