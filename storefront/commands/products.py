"""Product files in and out, in Shopify's CSV format."""

import sys
from pathlib import Path

import click
from flask import current_app

from core.catalogue import exporting, importing
from core.catalogue.report import ImportReport
from core.errors import CatalogueError
from core.shop import Shop
from storefront.commands import product_words, refusal_words
from storefront.commands.decorators import with_schema
from storefront.commands.product_words import in_owners_language


@click.command("import-products")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--different-goods",
    "are_different",
    is_flag=True,
    help="What FILE names for the first time is something else than what it leaves"
    " out of the same products.",
)
@with_schema
def import_products(shop: Shop, file: Path, are_different: bool) -> None:
    """
    Import a product FILE in Shopify's CSV format: all of it or nothing.

    New variants beside others that FILE leaves out may be the same goods: they wait
    until you say that they are not. The same file again changes nothing.
    """
    with in_owners_language():
        try:
            report = imported(shop, file, are_different=are_different)
        except CatalogueError as error:
            faults = refusal_words.told(error)
            raise click.ClickException(f"{file}: {faults}") from error
        click.echo("\n".join(product_words.told(report)))
        pictures = Path(str(current_app.static_folder))
        for line in product_words.warnings(report, pictures):
            click.echo(line, err=True)


def imported(shop: Shop, file: Path, *, are_different: bool = False) -> ImportReport:
    content, now = file.read_bytes(), shop.clock()
    return shop.database.write(
        lambda session: importing.import_products(
            session, content, now=now, are_different=are_different
        )
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
