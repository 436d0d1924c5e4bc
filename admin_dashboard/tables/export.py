"""Tables as CSV files that a Dutch spreadsheet opens well."""

import pandas as pd

# A cell that begins so is a formula to a spreadsheet, and a customer chooses his name.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


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
