"""A product file goes in by the command line, and a product of it is bought."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from core.models.catalogue import Product
from tests.end_to_end.conftest import ROOT
from tests.end_to_end.customer import Customer, OpenShop

pytestmark = [pytest.mark.browser, pytest.mark.slow]
REAL_FILE = ROOT.parent / "shared" / "data" / "shopify-apparel.csv"
LARGE, SMALL = "Wollen trui \N{EN DASH} Groot", "Wollen trui \N{EN DASH} Klein"
OWN_FILE = """\
Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant SKU,\
Variant Inventory Qty,Variant Price
trui,Wollen trui,<p>Warm <b>en</b> zacht.</p><script>alert(1)</script>,Atelier,Trui,\
Maat,Klein,TRUI-S,2,79.50
trui,,,,,,Groot,TRUI-L,1,84.50
trui-kort,Korte trui,,Atelier,Trui,Title,Default Title,TRUI-K,4,35.00
"""


def import_products(shop: OpenShop, file: Path) -> str:
    """Run the shop's own command; return what it said."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "flask", "--app", "storefront"),
            *("import-products", str(file)),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": shop.database_url,
            "DATA_DIR": str(shop.folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def levels_of(shop: OpenShop, product: str) -> tuple[int, int]:
    with shop.database.read() as session:
        query = select(Product.stock, Product.reserved).where(Product.name == product)
        stock, reserved = session.execute(query).one()
        return stock, reserved


def test_a_real_product_file_is_imported_and_its_last_shirt_bought(
    open_shop: OpenShop, customer: Customer
):
    if not REAL_FILE.exists():
        pytest.skip("the product file of another shop is not beside this project")
    first = import_products(open_shop, REAL_FILE)
    again = import_products(open_shop, REAL_FILE)

    assert " products created, 0 updated, 0 unchanged" in first
    assert again == f"0 products created, 0 updated, {first.split()[0]} unchanged"
    customer.take("Ocean Blue Shirt")
    customer.check_out()
    customer.pay()
    customer.sees_paid()
    expect(customer.page.get_by_role("table")).to_contain_text("Ocean Blue Shirt")
    assert levels_of(open_shop, "Ocean Blue Shirt") == (0, 0)
    customer.visit()
    expect(customer.card("Ocean Blue Shirt")).to_contain_text("Uitverkocht")


def test_the_same_file_again_changes_nothing_even_after_a_sale(
    open_shop: OpenShop, customer: Customer, tmp_path: Path
):
    file = tmp_path / "products.csv"
    file.write_text(OWN_FILE, encoding="utf-8")
    unchanged = "0 products created, 0 updated, 3 unchanged"
    assert "3 products created" in import_products(open_shop, file)
    assert import_products(open_shop, file) == unchanged

    customer.take(LARGE)
    customer.check_out()
    customer.pay()
    customer.sees_paid()

    assert import_products(open_shop, file) == unchanged
    (order,) = open_shop.orders_of(LARGE)
    assert order.amount_cents == 8450
    assert levels_of(open_shop, LARGE) == (0, 0)
    assert levels_of(open_shop, SMALL) == (2, 0)


def test_a_description_is_shown_with_its_markup_and_without_its_script(
    open_shop: OpenShop, customer: Customer, tmp_path: Path
):
    file = tmp_path / "products.csv"
    file.write_text(OWN_FILE.replace("trui", "muts"), encoding="utf-8")
    import_products(open_shop, file)

    customer.open_product(SMALL.replace("trui", "muts"))

    expect(customer.page.locator("b", has_text="en")).to_be_visible()
    expect(customer.page.get_by_text("alert(1)")).to_have_count(0)
