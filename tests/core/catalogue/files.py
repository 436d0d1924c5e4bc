"""What the tests of product files have in common."""

import csv
import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from core.catalogue.exporting import export_products
from core.catalogue.report import ImportReport
from core.database.engine import Database
from core.models.catalogue import Product
from core.models.every import TABLES
from core.models.stock import SOLD, StockMovement

REAL_FILE = Path(__file__).parents[4] / "shared" / "data" / "shopify-apparel.csv"
HEADER = "Handle,Title,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price"
TWO_TOPS = ["top,Top,Size,S,5,60", "top,,,M,0,60"]

Import = Callable[..., ImportReport]


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table."""
    with database.read() as session:
        return {
            table.name: [
                dict(row._mapping)
                for row in session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in TABLES
        }


def catalogue(database: Database) -> list[dict[str, Any]]:
    """Return what makes two shops' catalogues equal."""
    apart = {"id", "created_at", "imported_quantity"}
    return [
        {column: value for column, value in row.items() if column not in apart}
        for row in everything(database)["product"]
    ]


def movements(database: Database) -> list[tuple[int, str, str]]:
    with database.read() as session:
        found = session.scalars(select(StockMovement).order_by(StockMovement.id))
        return [(line.quantity, line.reason, line.note) for line in found]


def exported(database: Database) -> bytes:
    with database.read() as session:
        return export_products(session)


def edited(content: bytes, **cells: str) -> bytes:
    """Return a product file with *cells* in its first row."""
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    rows[0] |= {name.replace("_", " "): cell for name, cell in cells.items()}
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def sell(database: Database, product_id: int, units: int, now: datetime) -> None:
    """Let stock and ledger fall as they do when a sale is confirmed."""

    def work(session: Any) -> None:
        session.execute(
            update(Product)
            .where(Product.id == product_id)
            .values(stock=Product.stock - units)
        )
        session.add(
            StockMovement(
                product_id=product_id, quantity=-units, reason=SOLD, created_at=now
            )
        )

    database.write(work)


def only_stock(database: Database) -> int:
    (product,) = everything(database)["product"]
    quantity: int = product["stock"]
    return quantity
