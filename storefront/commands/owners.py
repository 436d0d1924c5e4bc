"""The owners, and what a new shop begins with."""

import secrets
from pathlib import Path

import click

from core.catalogue import importing, products
from core.config import keep
from core.errors import ConfigError
from core.owner import accounts
from core.shop import Shop
from storefront.commands.decorators import with_schema

DEMO_PRODUCTS = Path(__file__).parents[1] / "demo" / "products.csv"


@click.command("seed")
@with_schema
def seed(shop: Shop) -> None:
    """Give a new shop its first owner and, without a live key, a demo catalogue."""
    with shop.database.read() as session:
        is_empty = not products.has_products(session)
    if is_empty and not shop.config.is_live:
        report = shop.database.write(
            lambda session: importing.import_products(
                session, DEMO_PRODUCTS.read_bytes(), now=shop.clock()
            )
        )
        click.echo(f"demo catalogue: {report.created} products")
    kept = shop.config.data_dir / "owner-password"
    with shop.database.read() as session:
        has_owner = accounts.has_owner(session)
    if not has_owner:
        _add_first_owner(shop, kept)
    _tell_kept_login(shop, kept)


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
    shop.database.write(
        lambda session: accounts.set_owner(
            session, email, password, shortest=shortest, now=shop.clock()
        )
    )


def _tell_kept_login(shop: Shop, kept: Path) -> None:
    """Print the generated login of the first owner, while it still works."""
    if not kept.exists():
        return
    email, password = kept.read_text().split()
    with shop.database.read() as session:
        if accounts.check_password(session, email, password):
            click.echo(f"owner-login: {email} {password}")


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
    is_new = shop.database.write(
        lambda session: accounts.set_owner(session, email, password, now=shop.clock())
    )
    click.echo(f"{email}: {'may log in' if is_new else 'has a new password'}")
