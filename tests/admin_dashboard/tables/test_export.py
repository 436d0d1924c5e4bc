import pandas as pd
import pytest

from admin_dashboard.tables.export import csv_of


def test_a_dutch_spreadsheet_opens_the_export():
    table = pd.DataFrame([{"Product": "Kop", "Bedrag": 12.5, "Voorraad": 3}])

    assert csv_of(table) == "\ufeffProduct;Bedrag;Voorraad\nKop;12,50;3\n".encode()


@pytest.mark.parametrize("name", ["=1+1", "+31", "-2", "@x", " =1", "\t=1"])
def test_a_customer_cannot_put_a_formula_into_the_export(name: str):
    [_, line] = csv_of(pd.DataFrame([{"Klant": name}])).decode().splitlines()

    assert line.strip('"') == f"'{name}"
