"""Product files in and out, in Shopify's CSV format."""

import sys
from pathlib import Path

import click

from core.catalogue import exporting, importing
from core.catalogue.importing import ImportReport
from core.errors import ShopError
from core.shop import Shop
from storefront.commands.decorators import with_schema


@click.command("import-products")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_schema
def import_products(shop: Shop, file: Path) -> None:
    """
    Import a product FILE in Shopify's CSV format: all of it or nothing.

    The same file again changes nothing.
    """
    try:
        report = imported(shop, file)
    except ShopError as error:
        raise click.ClickException(f"{file}: {error}") from error
    click.echo(
        f"{report.created} products created, {report.updated} updated,"
        f" {report.unchanged} unchanged"
    )


def imported(shop: Shop, file: Path) -> ImportReport:
    content, now = file.read_bytes(), shop.clock()
    return shop.database.write(
        lambda session: importing.import_products(session, content, now=now)
    )


@click.command("export-products")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_schema
def export_products(shop: Shop, file: Path) -> None:
    """Export all products to FILE ('-' for the screen) in Shopify's CSV format."""
    with shop.database.read() as session:
        content = exporting.export_products(session)
    if str(file) == "-":
        sys.stdout.buffer.write(content)
        return
    file.write_bytes(content)
    click.echo(f"written to {file}", err=True)
