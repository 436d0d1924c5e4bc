"""What a file says and the shop does not go by is kept, and what is not is told."""

import csv
import io

import pytest

from core.catalogue.report import OddPrice
from core.database.engine import Database
from tests.core.catalogue.files import Import, everything, exported

COLUMNS = {
    "Handle": "mug",
    "Title": "Mug",
    "Variant Price": "12.50",
    "Variant SKU": "M-1",
    "Variant Barcode": "8712345678906",
    "Variant Grams": "453.592",
    "Variant Weight Unit": "lb",
    "Variant Compare At Price": "15.00",
    "Variant Inventory Tracker": "",
    "Variant Inventory Policy": "continue",
    "Variant Requires Shipping": "false",
}
KEPT = ("barcode", "grams", "weight_unit", "compare_at_cents", "tracker", "policy")


def file_of(columns: dict[str, str]) -> bytes:
    return f"{','.join(columns)}\n{','.join(columns.values())}\n".encode()


def first_row(content: bytes) -> dict[str, str]:
    return next(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_what_the_shop_does_not_go_by_comes_out_as_it_went_in(
    database: Database, import_rows: Import
) -> None:
    import_rows(content=file_of(COLUMNS))

    assert COLUMNS.items() <= first_row(exported(database)).items()


def test_what_is_kept_changes_nothing_when_it_is_imported_again(
    database: Database, import_rows: Import
) -> None:
    import_rows(content=file_of(COLUMNS))
    before = everything(database)

    import_rows(content=exported(database))

    assert everything(database) == before


def test_what_a_file_does_not_say_stays_as_it_was_kept(
    database: Database, import_rows: Import
) -> None:
    import_rows(content=file_of(COLUMNS))
    (before,) = everything(database)["product"]

    import_rows(content=b"Handle,Title,Price\nmug,Mug,13\n")

    (after,) = everything(database)["product"]
    assert [after[name] for name in KEPT] == [before[name] for name in KEPT]


def test_a_product_of_which_a_file_says_nothing_is_as_it_always_was(
    database: Database, import_rows: Import
) -> None:
    import_rows("mug,Mug,,,5,12.50")

    row = first_row(exported(database))

    assert row["Variant Inventory Tracker"] == "shopify"
    assert row["Variant Inventory Policy"] == "deny"
    assert row["Variant Requires Shipping"] == "true"
    assert row["Variant Grams"] == row["Variant Compare At Price"] == ""


@pytest.mark.parametrize("text", ["453.592", "453,592", "0.0", "1.000", "007", "-"])
def test_a_weight_is_kept_as_it_stands_and_never_misread(
    database: Database, import_rows: Import, text: str
) -> None:
    import_rows(content=file_of(COLUMNS | {"Variant Grams": f'"{text}"'}))

    assert first_row(exported(database))["Variant Grams"] == text


def test_columns_with_content_that_is_not_kept_are_told_once(
    import_rows: Import,
) -> None:
    header = "Handle,Title,Price,SEO Title,Gift Card,Google,Variant Fulfillment Service"

    report = import_rows(
        content=f"{header},\na,A,1,Best,false,,manual,\nb,B,1,Cheap,FALSE,,,x\n".encode()
    )

    assert report.unknown_columns == ("SEO Title", "#8")


def test_prices_that_stripe_does_not_take_are_told(import_rows: Import) -> None:
    report = import_rows(
        "a,Sticker,,,1,0.49",
        "b,Free,,,1,0",
        "c,Least,,,1,0.50",
        "d,Most,,,1,999999.99",
        "e,Statue,,,1,1000000",
    )

    assert report.odd_prices == (
        OddPrice(2, "Sticker", 49),
        OddPrice(6, "Statue", 100_000_000),
    )


def test_the_pictures_of_a_file_are_told_each_once(import_rows: Import) -> None:
    report = import_rows(
        content=b"Handle,Title,Price,Image Src\na,A,1,x.jpg\nb,B,1,x.jpg\nc,C,1,\n"
    )

    assert report.pictures == ("x.jpg",)
