"""The owners, and what a new shop begins with."""

import secrets
from pathlib import Path

import click

from core.catalogue import products, vat
from core.config import keep
from core.errors import ConfigError
from core.owner import accounts
from core.shop import Shop
from storefront.commands.decorators import with_schema
from storefront.commands.products import imported

DEMO_PRODUCTS = Path(__file__).parents[1] / "demo" / "products.csv"


@click.command("seed")
@with_schema
def seed(shop: Shop) -> None:
    """
    Give a new shop its first owner and, without a live key, a demo catalogue.

    Give every shop the VAT of its settings; safe to repeat.
    """
    shop.database.write(lambda session: vat.keep(session, shop.config.vat))
    with shop.database.read() as session:
        is_empty = not products.has_products(session)
        has_owner = accounts.has_owner(session)
    if is_empty and not shop.config.is_live:
        click.echo(f"demo catalogue: {imported(shop, DEMO_PRODUCTS).created} products")
    kept = shop.config.data_dir / "owner-password"
    if not has_owner:
        _add_first_owner(shop, kept)
    if kept.exists():
        # Told while it still works.
        email, password = kept.read_text().split()
        if accounts.check_password(shop.database, email, password):
            click.echo(f"owner-login: {email} {password}")


def _add_first_owner(shop: Shop, kept: Path) -> None:
    config = shop.config
    if config.is_live and not config.owner_password:
        raise ConfigError("OWNER_PASSWORD", "must be set for the first owner")
    email, password = config.owner_email, config.owner_password or ""
    if not password:
        # Kept before the owner is added: otherwise nobody might ever learn it.
        keep(kept, f"{email} {secrets.token_urlsafe(9)}")
        email, password = kept.read_text().split()
    shortest = accounts.SHORTEST_PASSWORD if config.is_live else 1
    # Another start at the same time may have added its own, and told its password.
    accounts.add_owner(
        shop.database, email, password, shortest=shortest, now=shop.clock()
    )


@click.command("create-owner")
@click.argument("email")
@click.option(
    "--password",
    envvar="OWNER_PASSWORD",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    help="Asked for when neither this nor OWNER_PASSWORD is given.",
)
@with_schema
def create_owner(shop: Shop, email: str, password: str) -> None:
    """Let EMAIL into the dashboard, or give that owner a new password."""
    is_new = accounts.set_owner(shop.database, email, password, now=shop.clock())
    click.echo(f"{email}: {'may log in' if is_new else 'has a new password'}")
