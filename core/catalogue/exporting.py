"""
Products out, as a product file.

Columns of its own say what its quantities are to be compared with, so an export may be
edited and imported while the shop sells.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from core.catalogue import vat
from core.catalogue.product_table import COLUMN_NAMES, OPTIONS
from core.models.catalogue import Product

# Shopify requires this column; it is the same for every product.
FIXED_CELLS = {"Variant Fulfillment Service": "manual"}
SHARED = ("title", "description", "vendor", "kind", "tags")
VERBATIM = ("sku", "barcode", "grams", "weight_unit", "tracker", "policy")
EXPORTED = (
    *(names[0] for name, names in COLUMN_NAMES.items() if name != "status"),
    *FIXED_CELLS,
)


def export_products(session: Session) -> bytes:
    """
    Return all products as a product file (CSV in UTF-8), stock as the quantity.

    Imported into the same shop it changes nothing, whatever was sold in between.
    """
    products = session.execute(select(Product.__table__).order_by(Product.id)).all()
    variants: dict[str, list[Row[Any]]] = defaultdict(list)
    for product in products:
        variants[product.handle].append(product)
    text = io.StringIO()
    writer = csv.DictWriter(text, EXPORTED, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(_cells(product, variants[product.handle]) for product in products)
    return text.getvalue().encode()


def _cells(product: Row[Any], variants: Sequence[Row[Any]]) -> dict[str, str]:
    """Return the row of *product*; what it shares with the first variant is blank."""
    first = None if product.id == variants[0].id else variants[0]
    imported = product.imported_quantity
    has_blank = not all(row.image for row in variants)
    own, shared = product._mapping, first._mapping if first else {}
    cells = {
        "handle": product.handle,
        "published": "true" if product.is_listed else "false",
        **{name: own[name] for name in VERBATIM},
        "requires_shipping": "true" if product.requires_shipping else "false",
        "quantity": str(product.stock),
        "price": _price(product.price_cents),
        "compare_at": _price(product.compare_at_cents),
        "stock_at_export": str(product.stock),
        "imported_quantity": "" if imported is None else str(imported),
        **{name: own[name] for name in SHARED if own[name] != shared.get(name)},
        **_vat_cells(product, first),
        **_option_cells(product, first),
        **_image_cells(product, first, has_blank=has_blank),
    }
    return FIXED_CELLS | {COLUMN_NAMES[name][0]: text for name, text in cells.items()}


def _price(cents: int | None) -> str:
    return "" if cents is None else f"{cents // 100}.{cents % 100:02d}"


def _vat_cells(product: Row[Any], first: Row[Any] | None) -> dict[str, str]:
    """Return what was chosen; a blank cell means what the first variant says."""
    rate = product.chosen_vat_bp
    is_default = rate is None and first is not None and first.chosen_vat_bp is not None
    return {
        "taxable": "false" if rate == 0 else "true",
        "vat": vat.DEFAULT if is_default else vat.text_of(rate),
    }


def _option_cells(product: Row[Any], first: Row[Any] | None) -> dict[str, str]:
    has_options = bool(product.option_values)
    names = product.option_names.split("\n") if has_options else ["Title"]
    values = product.option_values.split("\n") if has_options else ["Default Title"]
    is_shared = first is not None and (
        (first.option_names, bool(first.option_values))
        == (product.option_names, has_options)
    )
    cells = {}
    for number, name, value in zip_longest(OPTIONS, names, values, fillvalue=""):
        cells[f"option{number}_name"] = "" if is_shared else name
        cells[f"option{number}_value"] = value
    return cells


def _image_cells(
    product: Row[Any], first: Row[Any] | None, *, has_blank: bool
) -> dict[str, str]:
    cells = {"image_alt": product.image_alt}
    if has_blank:
        # An import gives a variant without a picture the first one of its handle.
        return {"variant_image": product.image, **cells}
    if first is None:
        return {"image": product.image, **cells}
    if (first.image, first.image_alt) == (product.image, product.image_alt):
        return {}
    return {"image": product.image, "variant_image": product.image, **cells}
