"""The VAT of a product: chosen by a product file, or the shop's."""

import csv
import io
from datetime import datetime

import pytest

from core.catalogue import vat
from core.catalogue.product_file import parse
from core.catalogue.report import ImportReport
from core.config import Vat
from core.database.engine import Database
from core.errors import CatalogueError
from core.models.orders import OrderLine
from tests.core.catalogue.files import Import, everything, exported
from tests.factories import add_product, ask, assert_invariants, change, reserved, sold

HEADER = "Handle,Title,Option1 Name,Option1 Value,Price,Variant Taxable,VAT Percent"
BOOK = "book,Book,,,10,true,9"


@pytest.fixture
def load(import_rows: Import) -> Import:
    """Give a function that imports rows which tell of VAT."""

    def load(*rows: str, header: str = HEADER) -> ImportReport:
        return import_rows(content="\n".join([header, *rows]).encode())

    return load


def rates(database: Database) -> list[int]:
    return [row["vat_bp"] for row in everything(database)["product"]]


def keep(database: Database, setting: Vat) -> int:
    return database.write(lambda session: vat.keep(session, setting))


@pytest.mark.parametrize(
    ("cells", "rate"),
    [
        (",", 2100),
        ("true,", 2100),
        ("false,", 0),
        ("ONWAAR,", 0),
        (",21", 2100),
        ("true,9", 900),
        (",0", 0),
        ("false,0", 0),
        ('true,"9,5 %"', 950),
        ("true,6.25%", 625),
        ("true,100", 10000),
        ("true,default", 2100),
    ],
)
def test_a_file_says_what_the_vat_of_a_product_is(
    database: Database, load: Import, cells: str, rate: int
) -> None:
    load(f"a,A,,,10,{cells}")

    assert rates(database) == [rate]


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ("perhaps,", "Variant Taxable"),
        ("true,high", "VAT Percent"),
        ("true,-9", "VAT Percent"),
        ("true,0.21", "VAT Percent"),
        ("true,101", "VAT Percent"),
        ("true,9.555", "VAT Percent"),
        ("false,9", "VAT Percent"),
        ("false,default", "VAT Percent"),
    ],
)
def test_what_is_no_rate_or_two_is_refused_by_name(cells: str, column: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        parse(f"{HEADER}\na,A,,,10,{cells}".encode())

    assert (refused.value.line, refused.value.column) == (2, column)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (",9", ",", [900, 900]),
        ("false,", ",", [0, 0]),
        (",9", "false,", [900, 0]),
        (",9", "true,", [900, 900]),
        ("false,", "true,", [0, 2100]),
        (",9", ",default", [900, 2100]),
        ("false,", ",21", [0, 2100]),
    ],
)
def test_a_variant_has_the_vat_of_the_first_unless_it_says_otherwise(
    database: Database, load: Import, first: str, second: str, expected: list[int]
) -> None:
    load(f"a,A,Size,S,10,{first}", f"a,,,M,10,{second}")

    assert rates(database) == expected


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        pytest.param("Handle,Title,Price", "book,Book,11", 900, id="a price list"),
        pytest.param(
            "Handle,Title,Price,Variant Taxable", "book,Book,11,true", 900, id="taxable"
        ),
        pytest.param(
            "Handle,Title,Price,Variant Taxable", "book,Book,11,false", 0, id="untaxed"
        ),
        pytest.param(
            "Handle,Title,Price,VAT Percent", "book,Book,11,", 2100, id="no rate"
        ),
    ],
)
def test_a_chosen_rate_stays_until_a_file_says_another(
    database: Database, load: Import, header: str, row: str, expected: int
) -> None:
    load(BOOK)

    load(row, header=header)

    assert rates(database) == [expected]


def test_what_was_untaxed_and_is_taxed_has_the_rate_of_the_shop(
    database: Database, load: Import
) -> None:
    load("book,Book,,,10,false,")

    load("book,Book,,,10,true", header=HEADER.removesuffix(",VAT Percent"))

    assert rates(database) == [2100]


def test_another_setting_changes_the_rates_that_nobody_chose(
    database: Database, load: Import
) -> None:
    load(BOOK, "mug,Mug,,,10,true,", "map,Map,,,10,false,")

    assert keep(database, Vat(default_bp=600)) == 1
    assert rates(database) == [900, 600, 0]
    assert keep(database, Vat(default_bp=600)) == 0


def test_an_import_uses_the_setting_that_the_shop_has_kept(
    database: Database, load: Import
) -> None:
    keep(database, Vat(default_bp=600))

    load(BOOK, "mug,Mug,,,10,true,")

    assert rates(database) == [900, 600]


def test_a_shop_without_vat_has_none_and_finds_its_rates_again(
    database: Database, load: Import
) -> None:
    load(BOOK, "mug,Mug,,,10,true,")

    assert keep(database, Vat(is_exempt=True)) == 2
    load("jar,Jar,,,10,true,21")
    assert rates(database) == [0, 0, 0]

    keep(database, Vat())
    assert rates(database) == [900, 2100, 2100]


def test_what_is_reserved_or_sold_keeps_its_rate(
    database: Database, now: datetime
) -> None:
    mug = add_product(database)
    sold(database, {mug: 1}, now)
    reserved(database, {mug: 1}, now)
    before = everything(database)

    keep(database, Vat(default_bp=900))

    after = everything(database)
    for table in ("stock_reservation", "order_line"):
        assert after[table] == before[table]
    assert ask(database, lambda s: s.query(OrderLine).one().vat_bp) == 2100
    assert_invariants(database)


@pytest.mark.parametrize("setting", [Vat(), Vat(600), Vat(is_exempt=True)])
def test_an_export_imported_again_changes_no_rate(
    database: Database, load: Import, setting: Vat
) -> None:
    load(
        "a,A,Size,S,10,,9",
        "a,,,M,10,,default",
        "a,,,L,10,false,",
        "a,,,XL,10,,6.5",
        "b,B,Size,S,10,false,",
        "b,,,M,10,true,",
        "c,C,,,10,,0",
        "d,D,,,10,,",
    )
    keep(database, setting)
    before = everything(database)

    load(*exported(database).decode().splitlines()[1:], header=first_line(database))

    assert everything(database) == before


def first_line(database: Database) -> str:
    return exported(database).decode().splitlines()[0]


def test_an_export_says_what_is_true_of_vat(database: Database, load: Import) -> None:
    load(BOOK, "mug,Mug,,,10,true,", "map,Map,,,10,false,")

    rows = csv.DictReader(io.StringIO(exported(database).decode(), newline=""))

    assert [(row["Variant Taxable"], row["VAT Percent"]) for row in rows] == [
        ("true", "9"),
        ("true", ""),
        ("false", "0"),
    ]


def test_a_product_made_before_rates_could_be_chosen_follows_the_setting(
    database: Database,
) -> None:
    mug = add_product(database)
    change(database, mug, vat_bp=2100, chosen_vat_bp=None)

    keep(database, Vat(default_bp=900))

    assert rates(database) == [900]
