"""Products that a file names otherwise than the file before, or leaves out."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from core.catalogue.importing import import_products
from core.catalogue.report import ImportReport, LeftOut
from core.database.engine import Database
from core.errors import CatalogueError
from core.models.catalogue import Product
from core.models.checkout import EXPIRED
from core.stock import reservations
from core.stock.reservations import Closed
from tests.concurrency.watcher import deadlocks
from tests.core.catalogue.files import everything, sell
from tests.factories import assert_invariants, at_once, levels, reserved

WITH_SKU = "Handle,Title,Option1 Name,Option1 Value,SKU,Inventory quantity,Price"
JEANS = (
    "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,"
    "Inventory quantity,Price"
)
RED, BLUE = "trui,Trui,Kleur,Red,TR-R,5,49", "trui,,,Blue,TR-B,3,49"
NO_SKU = ("trui,Trui,Kleur,Red,,5,49", "trui,,,Blue,,3,49")

Load = Callable[..., ImportReport]


@pytest.fixture
def load(database: Database, now: datetime) -> Load:
    """Give a function that imports rows that have SKUs."""

    def load(
        *rows: str, header: str = WITH_SKU, are_different: bool = False
    ) -> ImportReport:
        file = "\n".join([header, *rows]).encode()
        return database.write(
            lambda session: import_products(
                session, file, now=now, are_different=are_different
            )
        )

    return load


def on_sale(database: Database) -> dict[str, int]:
    """Return the stock of what is on sale, by name."""
    with database.read() as session:
        found = session.scalars(select(Product).where(Product.is_listed))
        return {
            product.name.partition(" \N{EN DASH} ")[2]: product.stock
            for product in found
        }


def ids(database: Database) -> dict[str, tuple[int, str]]:
    """Return id and address of each product, by SKU."""
    rows = everything(database)["product"]
    return {row["sku"]: (row["id"], row["slug"]) for row in rows}


def names(told: tuple[Any, ...]) -> list[str]:
    return [each.name.partition(" \N{EN DASH} ")[2] for each in told]


def test_variants_of_known_skus_are_renamed_and_not_doubled(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)
    before = ids(database)

    report = load("trui,Trui,Kleur,Rood,TR-R,5,49", "trui,,,Blauw,TR-B,3,49")

    assert (report.created, report.updated, report.stock_set) == (0, 2, 0)
    assert [each.before[-3:] for each in report.renamed] == ["Red", "lue"]
    assert on_sale(database) == {"Rood": 5, "Blauw": 3}
    assert ids(database) == before
    assert_invariants(database)


def test_the_file_that_renamed_changes_nothing_again(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)
    renamed = ("trui,Trui,Kleur,Rood,TR-R,5,49", "trui,,,Blauw,TR-B,3,49")
    load(*renamed)
    before = everything(database)

    report = load(*renamed)

    assert (report.unchanged, everything(database)) == (2, before)


def test_names_may_be_swapped_within_a_file(database: Database, load: Load) -> None:
    load(RED, BLUE)
    before = ids(database)

    load("trui,Trui,Kleur,Blue,TR-R,5,49", "trui,,,Red,TR-B,3,49")

    assert on_sale(database) == {"Blue": 5, "Red": 3}
    assert ids(database) == before


def test_names_may_move_on_by_one(database: Database, load: Load) -> None:
    sizes = ("S", "M", "L", "XL")
    load(*(f"trui,Trui,Maat,{size},{n},{n},49" for n, size in enumerate(sizes[:3])))

    load(*(f"trui,Trui,Maat,{size},{n},{n},49" for n, size in enumerate(sizes[1:])))

    assert on_sale(database) == {"M": 0, "L": 1, "XL": 2}


def test_a_new_variant_may_take_the_name_that_another_had(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)

    report = load(RED.replace("Red", "Rood"), BLUE, "trui,,,Red,TR-N,2,49")

    assert (report.created, report.updated, report.unchanged) == (1, 1, 1)
    assert on_sale(database) == {"Rood": 5, "Blue": 3, "Red": 2}
    assert ids(database)["TR-R"] == (1, "trui-red")


def test_variants_may_stand_in_another_order(database: Database, load: Load) -> None:
    load(RED, BLUE)

    report = load("trui,Trui,Kleur,Blue,TR-B,3,49", "trui,,,Red,TR-R,5,49")

    assert report == ImportReport(created=0, updated=0, unchanged=2, stock_set=0)


def test_a_renamed_handle_of_known_skus_moves_the_products(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)
    before = ids(database)

    report = load("sweater,Sweater,Kleur,Red,TR-R,5,49", "sweater,,,Blue,TR-B,3,49")

    assert (report.created, report.updated, report.stock_set) == (0, 2, 0)
    assert {each.handle_after for each in report.renamed} == {"sweater"}
    assert on_sale(database) == {"Red": 5, "Blue": 3}
    assert ids(database) == before


def test_what_a_renamed_handle_leaves_behind_is_told_and_nothing_doubles_it(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)

    report = load("sweater,Sweater,Kleur,Red,TR-R,5,49", "sweater,,,Blauw,,3,49")

    assert names(report.left_out) == ["Blue"]
    assert names(report.waiting) == ["Blauw"]
    assert on_sale(database) == {"Red": 5, "Blue": 3}


@pytest.mark.parametrize("first", [["sweater,,,Blauw,,3,49"], []])
def test_what_a_renamed_handle_leaves_behind_is_doubled_by_no_later_file(
    database: Database, load: Load, first: list[str]
) -> None:
    load(RED, BLUE)
    sweater = "sweater,Sweater,Kleur,Red,TR-R,5,49"
    load(sweater, *first)
    before = everything(database)

    report = load(sweater, "sweater,,,Blauw,,3,49")

    assert names(report.waiting) == ["Blauw"]
    assert everything(database) == before


def test_an_sku_that_is_free_again_in_the_same_file_finds_its_product_at_once(
    database: Database, load: Load
) -> None:
    load("trui,Trui,Kleur,Red,X,5,49", "muts,Muts,Kleur,Red,X,3,49")
    rows = ("muts,Muts,Kleur,Red,Y,3,49", "sjaal,Sjaal,Kleur,Red,X,5,49")

    report = load(*rows)
    before = everything(database)

    assert [each.handle_after for each in report.renamed] == ["sjaal"]
    assert load(*rows).unchanged == 2
    assert everything(database) == before


def test_two_products_that_would_have_one_name_are_refused(
    database: Database, load: Load
) -> None:
    load(RED, BLUE, "trui,,,Green,,1,49")
    before = everything(database)

    with pytest.raises(CatalogueError) as refused:
        load("a,A,Kleur,New,TR-R,5,49", "b,B,Kleur,New,TR-B,3,49")

    assert (refused.value.line, refused.value.column) == (3, "Option1 Value")
    assert everything(database) == before


def test_a_sale_before_the_renaming_stays_sold(
    database: Database, load: Load, now: datetime
) -> None:
    load(RED, BLUE)
    sell(database, 1, 2, now)

    load("trui,Trui,Kleur,Rood,TR-R,5,49", "trui,,,Blauw,TR-B,3,49")

    assert on_sale(database) == {"Rood": 3, "Blauw": 3}


def test_what_is_reserved_stays_reserved_under_the_new_name(
    database: Database, load: Load, now: datetime
) -> None:
    load(RED, BLUE)
    reserved(database, {1: 2}, now)

    load("trui,Trui,Kleur,Rood,TR-R,5,49", "trui,,,Blauw,TR-B,3,49")

    assert levels(database, 1) == (5, 2)
    assert_invariants(database)


def test_what_a_file_leaves_out_is_told_with_its_stock_and_stays(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)

    report = load(RED)

    name = "Trui \N{EN DASH} Blue"
    assert report.left_out == (LeftOut(name, "TR-B", 3, is_listed=True),)
    assert report.waiting == ()
    assert on_sale(database) == {"Red": 5, "Blue": 3}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(
            ("trui,Trui,Kleur,Rood,,5,49", "trui,,,Blauw,,3,49"), id="all renamed"
        ),
        pytest.param(
            ("trui,Trui,Kleur,Rood,NEW-R,5,49", "trui,,,Blauw,NEW-B,3,49"),
            id="all renamed, with new SKUs",
        ),
        pytest.param(("trui,Trui,,,,8,49",), id="without options"),
    ],
)
@pytest.mark.parametrize("before", [NO_SKU, (RED, BLUE)])
def test_new_names_beside_left_out_ones_wait_for_the_owners_word(
    database: Database, load: Load, before: tuple[str, ...], rows: tuple[str, ...]
) -> None:
    load(*before)
    there = everything(database)

    report = load(*rows)

    assert (report.created, len(report.waiting)) == (0, len(rows))
    assert names(report.left_out) == ["Red", "Blue"]
    assert everything(database) == there


def test_new_names_come_in_when_the_owner_says_that_they_are_other_goods(
    database: Database, load: Load
) -> None:
    load(*NO_SKU)
    renamed = ("trui,Trui,Kleur,Rood,,5,49", "trui,,,Blue,,3,49")

    assert load(*renamed).created == 0
    report = load(*renamed, are_different=True)

    assert (report.created, names(report.left_out)) == (1, ["Red"])
    assert on_sale(database) == {"Red": 5, "Blue": 3, "Rood": 5}
    assert load(*renamed).waiting == ()


def test_a_sold_out_name_still_keeps_a_new_one_waiting(
    database: Database, load: Load, now: datetime
) -> None:
    load(*NO_SKU)
    sell(database, 1, 5, now)

    report = load("trui,Trui,Kleur,Rood,,5,49", "trui,,,Blue,,3,49")

    assert names(report.waiting) == ["Rood"]


def test_a_further_variant_beside_all_the_others_is_on_sale_at_once(
    database: Database, load: Load
) -> None:
    load(*NO_SKU)

    report = load(*NO_SKU, "trui,,,Green,,2,49")

    assert (report.created, report.left_out) == (1, ())
    assert on_sale(database) == {"Red": 5, "Blue": 3, "Green": 2}


def test_an_sku_that_two_products_have_renames_neither(
    database: Database, load: Load
) -> None:
    load("trui,Trui,Kleur,Red,X,5,49", "muts,Muts,Kleur,Red,X,3,49")
    before = everything(database)

    report = load("sjaal,Sjaal,Kleur,Red,X,5,49")

    assert (len(report.waiting), len(report.left_out)) == (1, 2)
    assert everything(database) == before


def test_a_known_sku_under_two_other_handles_is_not_on_sale_three_times(
    database: Database, load: Load
) -> None:
    load("trui,Trui,Kleur,Red,X,5,49")

    report = load("muts,Muts,Kleur,Red,X,5,49", "sjaal,Sjaal,Kleur,Red,X,5,49")

    assert len(report.waiting) == 2
    assert on_sale(database) == {"Red": 5}


def test_one_sku_for_all_variants_of_a_handle_is_told_apart_by_options(
    database: Database, load: Load
) -> None:
    rows = ("trui,Trui,Kleur,Red,X,5,49", "trui,,,Blue,X,3,49")
    load(*rows)

    assert load(*rows).unchanged == 2


def test_an_sku_that_is_new_or_changed_belongs_to_the_same_name(
    database: Database, load: Load
) -> None:
    load(NO_SKU[0], BLUE)

    report = load(RED, "trui,,,Blue,NEW-B,3,49")

    assert (report.updated, report.left_out) == (2, ())
    assert [*ids(database)] == ["TR-R", "NEW-B"]


def test_options_in_another_order_are_the_same_variants(
    database: Database, load: Load
) -> None:
    load("j,J,Waist,30,Length,32,5,49", "j,,,32,,30,2,49", header=JEANS)

    report = load("j,J,Length,32,Waist,30,5,49", "j,,,30,,32,2,49", header=JEANS)

    assert (report.created, report.stock_set) == (0, 0)
    assert on_sale(database) == {"32 / 30": 5, "30 / 32": 2}
    with database.read() as session:
        found = session.scalars(select(Product).order_by(Product.id))
        assert [row.option_values for row in found] == ["32\n30", "30\n32"]


def test_other_names_for_options_are_the_same_variants(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)

    report = load("trui,Trui,Colour,Red,,5,49", "trui,,,Blue,,3,49")

    assert (report.updated, report.left_out) == (2, ())


def test_a_variant_twice_is_refused_in_whatever_order_its_options_stand(
    database: Database, load: Load
) -> None:
    with pytest.raises(CatalogueError) as refused:
        load("j,J,Waist,30,Length,32,5,49", "j,J,Length,32,Waist,30,5,49", header=JEANS)

    assert (refused.value.line, refused.value.column) == (3, "Option1 Value")


def test_a_name_that_belongs_to_a_product_left_out_is_refused(
    database: Database, load: Load
) -> None:
    load(RED, BLUE)
    before = everything(database)

    with pytest.raises(CatalogueError) as refused:
        load("trui,Trui,Kleur,Blue,TR-R,5,49")

    assert (refused.value.line, refused.value.column) == (2, "Option1 Value")
    assert everything(database) == before


def test_what_a_file_has_no_column_for_stays_as_it_is(
    database: Database, load: Load
) -> None:
    load(
        "trui,Trui,Warm,Ours,Clothes,wool,false,trui.jpg,A jumper,TR,5,49",
        header="Handle,Title,Description,Vendor,Type,Tags,Published,Image Src,"
        "Image Alt Text,SKU,Inventory quantity,Price",
    )
    (before,) = everything(database)["product"]

    load("trui,Trui,55", header="Handle,Title,Price")

    (after,) = everything(database)["product"]
    assert after == before | {"price_cents": 5500}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("trui,Trui,Kleur,Red,,5,49", "trui,Trui,kleur,RED,,5,49"),
        ("trui,Trui,Kleur,Red,,5,49", "Trui,Trui,Kleur,Red,,5,49"),
        ("caf\u00e9,C,Kleur,Cr\u00e8me,,5,9", "cafe\u0301,C,Kleur,Cre\u0300me,,5,9"),
        ("trui,Trui,Kleur,Dark red,,5,49", "trui,Trui,Kleur,Dark  red,,5,49"),
        ("trui,Trui,Kleur,Red,,5,49", "tr\u200bui,Trui,Kleur,R\u00aded,,5,49"),
    ],
)
def test_another_way_to_write_the_same_name_is_no_other_product(
    database: Database, load: Load, before: str, after: str
) -> None:
    load(before)

    report = load(after)

    assert (report.created, report.updated, report.left_out) == (0, 1, ())


def test_names_that_differ_in_case_alone_may_be_two_products(
    database: Database, load: Load
) -> None:
    rows = ("trui,Trui,Maat,s,,5,49", "trui,Trui,Maat,S,,3,49")
    load(*rows)
    before = everything(database)

    assert load(*rows).unchanged == 2
    assert everything(database) == before


def test_an_sku_in_another_case_is_not_on_sale_twice(
    database: Database, load: Load
) -> None:
    load(RED)

    report = load("sweater,Sweater,Kleur,Rood,tr-r,5,49")

    assert (names(report.waiting), names(report.left_out)) == (["Rood"], ["Red"])


@pytest.mark.slow
def test_names_are_swapped_while_carts_come_and_go(
    database: Database, load: Load, now: datetime
) -> None:
    skus = [f"S{number}" for number in range(6)]
    rows = [f"trui,Trui,Maat,{sku},{sku},99,49" for sku in skus]
    turned = [
        row.replace(f",{sku},", f",{other},", 1)
        for row, sku, other in zip(rows, skus, reversed(skus), strict=True)
    ]
    load(*rows)
    before = deadlocks(database)

    def rename() -> None:
        for number in range(20):
            load(*(rows if number % 2 else turned))

    def shop_for(ids: range) -> None:
        for _ in range(40):
            checkout_id = reserved(database, dict.fromkeys(ids, 1), now)
            end(database, checkout_id, now)

    carts = (range(1, 7), range(6, 0, -1), range(2, 5))
    shoppers: list[Callable[[], None]] = [partial(shop_for, ids) for ids in carts]
    done = at_once([rename, *shoppers])

    assert done == [None] * 4
    assert deadlocks(database) == before
    assert on_sale(database) == dict.fromkeys(skus, 99)
    assert_invariants(database)


def end(database: Database, checkout_id: int, now: datetime) -> None:
    closed = Closed(EXPIRED, "time")
    database.write(lambda s: reservations.end(s, checkout_id, closed, now=now))
