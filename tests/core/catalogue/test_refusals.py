"""All that is wrong with a file is told at once, and what can be understood is."""

from datetime import datetime

import pytest

from core.catalogue.faults import Fault
from core.catalogue.product_file import ProductRow, parse
from core.database.engine import Database
from core.errors import CatalogueError
from tests.core.catalogue.files import Import, everything
from tests.factories import reserved

HEADER = "Handle,Title,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price"
TRACKED = "Handle,Title,Variant Inventory Tracker,Variant Inventory Qty,Price"


def refused(content: str | bytes) -> CatalogueError:
    with pytest.raises(CatalogueError) as error:
        parse(content.encode() if isinstance(content, str) else content)
    return error.value


def faults_in(content: str | bytes) -> list[tuple[int | None, str | None, str]]:
    found = refused(content).refusals
    return [(each.line, each.column, each.fault) for each in found]


def only(content: str) -> ProductRow:
    (row,) = parse(content.encode()).rows
    return row


def test_everything_wrong_is_told_at_once_by_line_and_column() -> None:
    rows = [
        "mug,Mug,,,many,cheap",
        "cup,,,,1,3",
        ",Jar,,,1,",
        "top,Top,,S,1,60",
        "pan,Pan,,,1,9,99",
        "mug,Mug,,,1,12",
    ]

    assert faults_in("\n".join([HEADER, *rows])) == [
        (2, "Variant Inventory Qty", Fault.NO_NUMBER),
        (2, "Variant Price", Fault.NO_PRICE),
        (3, "Title", Fault.BLANK),
        (4, "Handle", Fault.BLANK),
        (4, "Variant Price", Fault.BLANK),
        (5, "Option1 Name", Fault.OPTION_WITHOUT_NAME),
        (6, None, Fault.ROW_TOO_LONG),
        (7, "Handle", Fault.SAME_PRODUCT),
    ]


def test_of_very_many_faults_the_first_fifty_are_told_and_all_are_counted() -> None:
    error = refused("\n".join([HEADER, *(f"h{n},T,,,1,x" for n in range(120))]))

    assert (len(error.refusals), error.count) == (50, 120)
    assert [each.line for each in error.refusals] == [*range(2, 52)]


def test_a_cell_that_many_rows_go_by_is_wrong_once() -> None:
    rows = ["top,Top,old,Size,S,60", "top,,,,M,60", "top,,,,L,60"]
    header = "Handle,Title,Status,Option1 Name,Option1 Value,Price"

    assert faults_in("\n".join([header, *rows])) == [(2, "Status", Fault.NO_CHOICE)]


def test_a_row_that_is_wrong_does_not_make_those_after_it_wrong() -> None:
    rows = ["top,Top,Size,S,1,60,99", "top,,,M,1,60", "top,,,L,1,x"]

    assert faults_in("\n".join([HEADER, *rows])) == [
        (2, None, Fault.ROW_TOO_LONG),
        (4, "Variant Price", Fault.NO_PRICE),
    ]


def test_what_is_wrong_before_an_open_quote_is_told_with_it() -> None:
    rows = ["mug,Mug,,,1,x", 'cup,"Cup,,,1,3', "jar,Jar,,,1,y"]

    assert faults_in("\n".join([HEADER, *rows])) == [
        (2, "Variant Price", Fault.NO_PRICE),
        (3, "Title", Fault.OPEN_QUOTE),
    ]


def test_all_that_is_wrong_with_a_header_is_told_at_once() -> None:
    assert faults_in("Title,Title,SKU\nA,B,C\n") == [
        (1, "Title", Fault.COLUMN_TWICE),
        (1, "Handle", Fault.COLUMN_MISSING),
        (1, "Variant Price", Fault.COLUMN_MISSING),
    ]


def test_all_stocks_below_what_is_reserved_are_told_at_once(
    database: Database, import_rows: Import, now: datetime
) -> None:
    import_rows("mug,Mug,,,5,12.50", "cup,Cup,,,5,3", "jar,Jar,,,5,3")
    reserved(database, {1: 2, 3: 3}, now)
    before = everything(database)

    with pytest.raises(CatalogueError) as error:
        import_rows("mug,Mug,,,1,12.50", "cup,Cup,,,0,3", "jar,Jar,,,2,3")

    assert [(each.line, each.values) for each in error.value.refusals] == [
        (2, {"name": "Mug", "stock": 1, "reserved": 2}),
        (4, {"name": "Jar", "stock": 2, "reserved": 3}),
    ]
    assert everything(database) == before


def test_below_nothing_is_refused_where_it_is_tracked_and_nothing_elsewhere() -> None:
    rows = ["a,A,shopify,-1,9", "b,B,,-1,9", "c,C,shopify,-2,9", "d,D,,4,9"]

    assert faults_in("\n".join([TRACKED, *rows])) == [
        (2, "Variant Inventory Qty", Fault.NEGATIVE),
        (4, "Variant Inventory Qty", Fault.NEGATIVE),
    ]
    untracked = parse("\n".join([TRACKED, rows[1], rows[3]]).encode()).rows
    assert [row.quantity for row in untracked] == [0, 4]


def test_below_nothing_is_refused_where_the_file_does_not_say_who_tracks() -> None:
    (fault,) = faults_in("Handle,Title,Inventory quantity,Price\na,A,-1,9\n")

    assert fault == (2, "Inventory quantity", Fault.NEGATIVE)


@pytest.mark.parametrize(
    "first_line", ["sep=;\r\n", "SEP=;\n", '"sep=;"\r', "\ufeffsep=;\r\n", "sep=;;;;\n"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_first_line_may_say_how_cells_are_separated(
    first_line: str, encoding: str
) -> None:
    text = f"{first_line}Handle;Title;Price\r\nthee;Thee, los;4,95\r\n"

    (row,) = parse(text.encode(encoding)).rows

    assert (row.title, row.price_cents, row.key_place.line) == ("Thee, los", 495, 3)


def test_blank_cells_at_the_end_of_a_row_may_be_missing() -> None:
    header = "Handle,Title,Price,SKU,Image Src,Status"

    row = only(f"{header}\nkan,Kan,22.50\n")

    assert (row.price_cents, row.sku, row.is_listed) == (2250, "", True)


def test_a_required_cell_that_is_missing_is_blank() -> None:
    assert faults_in("Handle,Title,Price,SKU\nkan,Kan\n") == [(2, "Price", Fault.BLANK)]


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04\x14\x00\x06\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0"]
)
def test_a_workbook_is_called_one(content: bytes) -> None:
    assert faults_in(content) == [(1, None, Fault.WORKBOOK)]


@pytest.mark.parametrize(
    "unseen",
    [
        *("\u200b", "\u200d\u200c", "\ufeff", "\u00ad", "\u2060", "\u3000", "\u00a0"),
        *("\u3164", "\u115f", "\u2800", "\u034f", "\ufe0f", "\u202e", "\U000e0001"),
    ],
)
@pytest.mark.parametrize(
    ("row", "column"),
    [("{},A,1", "Handle"), ("a,{},1", "Title"), ("a,A,{}", "Price")],
)
def test_what_has_no_visible_sign_is_blank(unseen: str, row: str, column: str) -> None:
    text = f"Handle,Title,Price\n{row.format(unseen)}\n"

    assert faults_in(text) == [(2, column, Fault.BLANK)]


def test_signs_that_are_joined_by_unseen_ones_stay_as_they_are() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f"

    assert only(f"Handle,Title,Price\na,{family},1\n").title == family


def test_an_unseen_sign_at_the_end_does_not_make_another_sku() -> None:
    assert only("Handle,Title,SKU,Price\na,A,T-1\u200b,1\n").sku == "T-1"
