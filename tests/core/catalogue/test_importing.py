import csv
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from core.catalogue.importing import import_products
from core.catalogue.report import ImportReport
from core.database.engine import Database
from core.errors import CatalogueError
from core.models.every import TABLES
from core.models.stock import ADJUSTED, RECEIVED
from core.stock import ledger
from tests.core.catalogue.files import (
    HEADER,
    REAL_FILE,
    TWO_TOPS,
    Import,
    catalogue,
    edited,
    everything,
    exported,
    movements,
    only_stock,
    sell,
)
from tests.factories import add_product, assert_invariants, levels, reserved


def test_a_new_product_comes_with_its_stock_in_the_ledger(
    database: Database, import_rows: Import
) -> None:
    report = import_rows(*TWO_TOPS)

    assert report == ImportReport(created=2, updated=0, unchanged=0, stock_set=0)
    assert [(row["slug"], row["stock"]) for row in catalogue(database)] == [
        ("top-s", 5),
        ("top-m", 0),
    ]
    assert movements(database) == [(5, RECEIVED, "product file")]
    assert_invariants(database)


def test_the_same_file_again_changes_nothing(
    database: Database, import_rows: Import
) -> None:
    import_rows(*TWO_TOPS)
    before = everything(database)

    report = import_rows(*TWO_TOPS)

    assert report == ImportReport(created=0, updated=0, unchanged=2, stock_set=0)
    assert everything(database) == before


def test_the_same_file_after_a_sale_does_not_bring_the_units_back(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50")
    sell(database, 1, 2, now)
    before = everything(database)

    import_rows("mug,Mug,,,5,12.50")

    assert everything(database) == before


def test_another_quantity_books_the_difference_to_the_file_before(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50")
    sell(database, 1, 2, now)

    report = import_rows("mug,Mug,,,9,12.50")

    assert report == ImportReport(created=0, updated=1, unchanged=0, stock_set=1)
    assert only_stock(database) == 7
    assert movements(database)[-1] == (4, ADJUSTED, "product file")
    assert_invariants(database)


def test_another_price_and_title_change_the_product_and_not_its_address(
    database: Database, import_rows: Import
) -> None:
    import_rows("mug,Mug,,,5,12.50")

    report = import_rows('mug,Big mug,,,5,"13,95"')

    assert report == ImportReport(created=0, updated=1, unchanged=0, stock_set=0)
    (product,) = catalogue(database)
    assert (product["name"], product["price_cents"]) == ("Big mug", 1395)
    assert (product["slug"], product["stock"]) == ("mug", 5)
    assert len(movements(database)) == 1


def test_a_product_made_by_hand_is_set_to_the_stock_of_its_first_file(
    database: Database, import_rows: Import, now: datetime
) -> None:
    product_id = add_product(database, stock_units=5, now=now)
    handle = everything(database)["product"][0]["handle"]

    import_rows(f"{handle},Mug,,,8,12.50")
    import_rows(f"{handle},Mug,,,8,12.50")

    assert levels(database, product_id) == (8, 0)
    assert movements(database)[1:] == [(3, ADJUSTED, "product file")]


def test_a_file_without_quantities_leaves_the_stock_alone(
    database: Database, import_rows: Import
) -> None:
    import_rows("mug,Mug,,,5,12.50")

    import_rows(content=b"Handle,Title,Price\nmug,Mug,14\ncup,Cup,3\n")

    assert [(row["stock"], row["price_cents"]) for row in catalogue(database)] == [
        (5, 1400),
        (0, 300),
    ]
    assert_invariants(database)


def test_a_product_that_the_file_does_not_name_stays(
    database: Database, import_rows: Import
) -> None:
    import_rows("mug,Mug,,,5,12.50")

    import_rows("cup,Cup,,,1,3")

    assert [row["handle"] for row in catalogue(database)] == ["mug", "cup"]


def test_stock_may_fall_to_what_is_reserved(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50")
    reserved(database, {1: 2}, now)

    import_rows("mug,Mug,,,2,12.50")

    assert levels(database, 1) == (2, 2)
    assert_invariants(database)


def test_stock_below_what_is_reserved_is_refused_with_the_whole_file(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50", "cup,Cup,,,1,3")
    reserved(database, {2: 1}, now)
    before = everything(database)

    with pytest.raises(CatalogueError) as refused:
        import_rows("jar,Jar,,,1,9", "mug,Mug,,,9,99", "cup,Cup,,,0,3")

    assert (refused.value.line, refused.value.column) == (4, "Variant Inventory Qty")
    assert everything(database) == before


def test_more_stock_than_the_database_can_count_is_refused(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50")
    database.write(lambda session: ledger.receive(session, 1, 10, now=now))
    before = everything(database)

    with pytest.raises(CatalogueError) as refused:
        import_rows("mug,Mug,,,2147483647,12.50")

    assert (refused.value.line, refused.value.column) == (2, "Variant Inventory Qty")
    assert everything(database) == before


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("jar,Jar,,,-1,9", "Variant Inventory Qty"),
        ("jar,Jar,,,1.5,9", "Variant Inventory Qty"),
        ("jar,Jar,,,1,", "Variant Price"),
        ('jar,Jar,,,1,"1,234"', "Variant Price"),
        ("jar,Jar,,,1,1.234", "Variant Price"),
        ("jar,Jar,,,1,-9", "Variant Price"),
        ("jar,Jar,,,1,1e3", "Variant Price"),
        ("jar,,,,1,9", "Title"),
        (",Jar,,,1,9", "Handle"),
        ("mug,Mug,,,1,9", "Handle"),
        ("jar,Jar,,S,1,9", "Option1 Name"),
        ("jar,Jar,Size,,1,9", "Option1 Value"),
        ("jar,Jar,,,1", "Variant Price"),
        ("jar,Jar,,,1,12,50", None),
        ('jar,"Jar,,,1,9', "Title"),
        ("jar,J\0r,,,1,9", "Title"),
    ],
)
def test_a_bad_row_names_its_place_and_changes_nothing_anywhere(
    database: Database, import_rows: Import, row: str, column: str | None
) -> None:
    import_rows("mug,Mug,,,5,12.50")
    before = everything(database)

    with pytest.raises(CatalogueError) as refused:
        import_rows("mug,Big mug,,,9,20", "cup,Cup,,,1,3", row)

    assert (refused.value.line, refused.value.column) == (4, column)
    assert everything(database) == before


def test_products_have_addresses_of_their_own(
    database: Database, import_rows: Import
) -> None:
    import_rows("a-b,A,,,1,1", "a b,A,,,1,1")

    import_rows("Ä b,A,,,1,1", "杯,A,,,1,1", "碗,A,,,1,1", f"{'x' * 300},A,,,1,1")

    assert [row["slug"] for row in catalogue(database)] == [
        *("a-b", "a-b-2", "a-b-3", "product", "product-2", "x" * 200),
    ]


RICH_FILE = """\
Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,\
Option2 Name,Option2 Value,Variant SKU,Variant Inventory Qty,Variant Price,Image Src,\
Image Alt Text,Variant Image
top,"Top \N{EN DASH} ""the"" one, really","<p>Nice &amp; <b>warm</b>,
""soft""</p>",Ours,Clothes,"warm, new",true,Colour,Red,Size,S / M,T-1,3,60,\
https://example.org/front.jpg,Front,
top,,,,,,,,Red,,L,T-2,0,65.5,https://example.org/back.jpg,Back,
top,,,,,,,,Blue,,L,,1,65.05,,,https://example.org/back.jpg
mug,Mug,,,,,false,Title,Default Title,,,,7,0.99,,,
top,,,,,,false,,Green,,L,=1+1,1,65,,,
jar,Jar,,,,,true,Size,1 l,,,,1,5,,,
jar,,,,,,true,Size,2 l,,,,1,5,,A jar,/static/jar.png
"""


@pytest.mark.parametrize("import_it_first", [True, False])
def test_an_export_imported_again_changes_nothing(
    database: Database, import_rows: Import, now: datetime, *, import_it_first: bool
) -> None:
    if import_it_first:
        import_rows(content=RICH_FILE.encode())
    else:
        add_product(database, stock_units=10, now=now)
    sell(database, 1, 2, now)
    before = everything(database)

    import_rows(content=exported(database))

    assert everything(database) == before


def test_an_export_makes_the_same_catalogue_in_an_empty_shop(
    database: Database, import_rows: Import
) -> None:
    import_rows(content=RICH_FILE.encode())
    file, before = exported(database), catalogue(database)
    empty(database)

    import_rows(content=file)

    assert catalogue(database) == before
    assert exported(database) == file


def empty(database: Database) -> None:
    def work(session: Any) -> None:
        for table in reversed(TABLES):
            session.execute(table.delete())

    database.write(work)


def test_an_export_is_what_shopify_reads(
    database: Database, import_rows: Import
) -> None:
    import_rows(content=RICH_FILE.encode())

    rows = list(csv.DictReader(io.StringIO(exported(database).decode(), newline="")))

    assert [(row["Title"], row["Option1 Name"]) for row in rows[:4]] == [
        ('Top \N{EN DASH} "the" one, really', "Colour"),
        *(("", ""), ("", "")),
        ("Mug", "Title"),
    ]
    assert rows[3]["Option1 Value"] == "Default Title"
    assert rows[2]["Variant Price"] == "65.05"
    assert rows[0]["Variant Inventory Policy"] == "deny"


def test_an_export_imported_after_more_sales_does_not_bring_the_units_back(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50")
    sell(database, 1, 1, now)
    file = edited(exported(database), Variant_Price="14")
    sell(database, 1, 2, now)

    import_rows(content=file)

    assert only_stock(database) == 2
    assert catalogue(database)[0]["price_cents"] == 1400


def test_a_product_made_by_hand_exported_and_sold_is_not_brought_back(
    database: Database, import_rows: Import, now: datetime
) -> None:
    product_id = add_product(database, stock_units=10, now=now)
    file = edited(exported(database), Variant_Price="14")
    sell(database, product_id, 2, now)

    import_rows(content=file)

    assert only_stock(database) == 8


@pytest.mark.parametrize("made_by_hand", [True, False])
def test_a_quantity_edited_in_an_export_is_booked_once(
    database: Database, import_rows: Import, now: datetime, *, made_by_hand: bool
) -> None:
    if made_by_hand:
        add_product(database, stock_units=5, now=now)
    else:
        import_rows("mug,Mug,,,5,12.50")
    sell(database, 1, 2, now)
    file = exported(database)
    sell(database, 1, 1, now)

    import_rows(content=edited(file, Variant_Inventory_Qty="10"))
    import_rows(content=edited(file, Variant_Inventory_Qty="10"))

    assert only_stock(database) == 9
    import_rows(content=edited(file, Variant_Inventory_Qty="12"))
    assert only_stock(database) == 11
    assert_invariants(database)


def test_a_shop_filled_from_an_export_knows_the_file_again_after_a_sale(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50")
    sell(database, 1, 2, now)
    file = exported(database)
    empty(database)
    import_rows(content=file)
    product_id = everything(database)["product"][0]["id"]
    sell(database, product_id, 1, now)

    import_rows(content=file)

    assert only_stock(database) == 2


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the real product file is not here")
def test_a_real_file_goes_in_and_comes_out(
    database: Database, import_rows: Import
) -> None:
    first = import_rows(content=REAL_FILE.read_bytes())
    before = everything(database)

    again = import_rows(content=REAL_FILE.read_bytes())
    import_rows(content=exported(database))

    assert (first.created, again.unchanged) == (22, 22)
    assert everything(database) == before
    assert_invariants(database)


def test_ten_thousand_rows_keep_their_order(
    database: Database, import_rows: Import
) -> None:
    rows = [f"h{number},T{number},,,1,5" for number in range(10_000)]

    import_rows(*rows)

    assert [row["title"] for row in catalogue(database)] == [
        f"T{number}" for number in range(10_000)
    ]


def test_the_ledger_says_who_imported(database: Database, now: datetime) -> None:
    file = f"{HEADER}\nmug,Mug,,,5,12.50".encode()

    database.write(
        lambda session: import_products(session, file, now=now, who="owner@localhost")
    )

    assert everything(database)["stock_movement"][0]["who"] == "owner@localhost"


@pytest.mark.slow
def test_imports_at_the_same_time_book_the_difference_once(
    database: Database, import_rows: Import
) -> None:
    old, new = (
        [f"h{number},T,,,{units},1" for number in range(300)] for units in (5, 9)
    )
    import_rows(*old)
    together = threading.Barrier(4)

    def import_new(_: int) -> ImportReport:
        together.wait(timeout=20)
        return import_rows(*new, "jar,Jar,,,1,1")

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(import_new, range(4)))

    assert sorted(report.stock_set for report in reports) == [0, 0, 0, 300]
    assert {row["stock"] for row in catalogue(database)[:300]} == {9}
    assert_invariants(database)
