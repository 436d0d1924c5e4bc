"""The shop's command line: `./run.sh flask COMMAND`."""

import json
import secrets
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import quote

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import OperationalError

from core.catalogue import importing, products
from core.checkout import expiry
from core.checkout.reconcile import reconcile
from core.config import keep
from core.errors import ConfigError, ShopError
from core.mail import outbox
from core.maintenance import copying, doctor
from core.maintenance.copying import Copied
from core.maintenance.doctor import Finding
from core.owner import accounts, to_dos
from core.shop import Shop
from storefront.extensions import current_shop
from storefront.letters.writer import writer

P = ParamSpec("P")
T = TypeVar("T")

DEMO_PRODUCTS = Path(__file__).parents[1] / "demo" / "products.csv"


def init_app(app: Flask) -> None:
    for command in (
        migrate,
        seed,
        import_products,
        export_products,
        clean_up,
        compare,
        examine,
        create_owner,
        backup,
        copy_to,
        send_mail,
    ):
        app.cli.add_command(command)


def told_plainly(command: Callable[P, T]) -> Callable[P, T]:
    """End a refused command with its reason on one line, without a traceback."""

    @with_appcontext
    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except ShopError as error:
            raise click.ClickException(str(error)) from error
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise click.ClickException(f"the database: {reason}") from error

    return wrapper


def with_schema(command: Callable[P, T]) -> Callable[P, T]:
    """Refuse a command on a database that was not migrated to this program's schema."""

    @told_plainly
    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if not current_shop().database.is_migrated():
            raise click.ClickException(
                "the database does not have this version's schema; run migrate first"
            )
        return command(*args, **kwargs)

    return wrapper


@click.command("migrate")
@told_plainly
def migrate() -> None:
    """Bring the database's schema up to date; safe to repeat."""
    shop = current_shop()
    if shop.database.is_sqlite:
        Path(str(shop.database.engine.url.database)).parent.mkdir(
            parents=True, exist_ok=True
        )
    shop.database.migrate()


@click.command("seed")
@with_schema
def seed() -> None:
    """Give a new shop its first owner and, without a live key, a demo catalogue."""
    shop = current_shop()
    with shop.database.read() as session:
        is_empty = not products.has_products(session)
    if is_empty and not shop.config.is_live:
        report = shop.database.write(
            lambda session: importing.import_products(
                session, DEMO_PRODUCTS.read_bytes(), now=shop.clock()
            )
        )
        click.echo(f"demo catalogue: {report.created} products")
    _seed_owner(shop)


def _seed_owner(shop: Shop) -> None:
    config = shop.config
    kept = config.data_dir / "owner-password"
    with shop.database.read() as session:
        is_new = not accounts.has_owner(session)
    if is_new:
        if config.is_live and not config.owner_password:
            raise ConfigError("OWNER_PASSWORD", "must be set for the first owner")
        email, password = config.owner_email, config.owner_password or ""
        if not password:
            # Before the owner is: a password that nobody was told opens nothing.
            keep(kept, f"{email} {secrets.token_urlsafe(9)}")
            email, password = kept.read_text().split()
        shortest = accounts.SHORTEST_PASSWORD if config.is_live else 1
        shop.database.write(
            lambda session: accounts.set_owner(
                session,
                email,
                password,
                shortest=shortest,
                now=shop.clock(),
            )
        )
    _tell_kept_login(shop, kept)


def _tell_kept_login(shop: Shop, kept: Path) -> None:
    """Print the login that was made up for the first owner, as long as it works."""
    if not kept.exists():
        return
    email, password = kept.read_text().split()
    with shop.database.read() as session:
        if accounts.check_password(session, email, password):
            click.echo(f"owner-login: {email} {password}")


@click.command("import-products")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_schema
def import_products(file: Path) -> None:
    """
    Import a product FILE in Shopify's CSV format: all of it or nothing.

    The same file again changes nothing.
    """
    shop = current_shop()
    content = file.read_bytes()
    try:
        report = shop.database.write(
            lambda session: importing.import_products(
                session, content, now=shop.clock()
            )
        )
    except ShopError as error:
        raise click.ClickException(f"{file}: {error}") from error
    click.echo(
        f"{report.created} products created, {report.updated} updated,"
        f" {report.unchanged} unchanged"
    )


@click.command("export-products")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_schema
def export_products(file: Path) -> None:
    """Export all products to FILE ('-' for the screen) in Shopify's CSV format."""
    with current_shop().database.read() as session:
        content = importing.export_products(session)
    if str(file) == "-":
        sys.stdout.buffer.write(content)
        return
    file.write_bytes(content)
    click.echo(f"written to {file}", err=True)


@click.command("cleanup-reservations")
@with_schema
def clean_up() -> None:
    """End every checkout whose hold is over, once Stripe has closed its session."""
    swept = expiry.sweep(current_shop(), everything=True)
    click.echo(
        f"{swept.expired} expired, {swept.confirmed} confirmed, {swept.kept} kept"
    )


@click.command("reconcile")
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    help="How far to look back; else to when all was last in order.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@with_schema
def compare(days: int | None, as_json: bool) -> None:
    """
    Compare with Stripe, settle what differs, and list what needs a person.

    Exits with 1 if something could not be settled now or needs a person.
    """
    shop = current_shop()
    expiry.sweep(shop, everything=True)
    since = shop.clock() - timedelta(days=days) if days else None
    found = reconcile(shop, since=since)
    with shop.database.read() as session:
        open_entries = to_dos.entries(session)
    if as_json:
        told = {"found": found, "to_do": open_entries}
        click.echo(json.dumps(told, default=_as_json))
    else:
        click.echo(
            f"{found.seen} sessions seen since {found.since:%Y-%m-%d %H:%M} UTC:"
            f" {found.settled} settled, {found.closed} closed, {found.entered} entered,"
            f" {found.kept} kept"
        )
        for entry in open_entries:
            about = entry.stripe_id or entry.payment_intent
            click.echo(f"to do: {entry.kind}: {about}, {entry.amount_cents} cents")
    if found.kept or open_entries:
        sys.exit(1)


def _as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else vars(value)


@click.command("send-mail")
@with_schema
def send_mail() -> None:
    """Send the letters that are due; a running shop does so by itself."""
    shop = current_shop()
    sent = outbox.send_due(shop, writer(current_app))
    if sent.waiting:
        raise click.ClickException(f"{sent.waiting} letters wait: SMTP_URL is not set")
    click.echo(
        f"{sent.sent} sent, {sent.again} to be tried again, {sent.failed} failed,"
        f" {sent.unknown} of which nobody knows"
    )


@click.command("doctor")
@click.option(
    "--repair", "do_repair", is_flag=True, help="Mend what needs no person to decide."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@with_schema
def examine(do_repair: bool, as_json: bool) -> None:
    """Compare counters, reservations and the ledger; exit with 1 if they differ."""
    shop = current_shop()
    repaired: list[Finding] = []
    if do_repair:
        repaired = shop.database.write(
            lambda session: doctor.repair(session, now=shop.clock())
        )
    with shop.database.read() as session:
        findings = doctor.examine(session)
    if as_json:
        told = {"repaired": repaired, "findings": findings}
        click.echo(json.dumps(told, default=vars))
    else:
        for found, word in ((repaired, "repaired"), (findings, "found")):
            for finding in found:
                click.echo(f"{word}: {finding.subject}: {finding.explanation}")
        click.echo(f"{len(findings)} findings" if findings else "all is well")
    if findings:
        sys.exit(1)


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
def create_owner(email: str, password: str) -> None:
    """Let EMAIL into the dashboard, or give that owner a new password."""
    shop = current_shop()
    is_new = shop.database.write(
        lambda session: accounts.set_owner(session, email, password, now=shop.clock())
    )
    click.echo(f"{email}: {'may log in' if is_new else 'has a new password'}")


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_schema
def backup(file: Path) -> None:
    """Copy a SQLite shop, running or not, to FILE as it is at this moment."""
    database = current_shop().database
    if not database.is_sqlite:
        raise click.ClickException("on PostgreSQL use pg_dump")
    if file.exists():
        raise click.ClickException(f"{file} is there already")
    draft = file.with_name(f".{file.name}.part")
    address = f"file:{quote(str(database.engine.url.database))}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True)) as source,
        closing(sqlite3.connect(draft)) as copy,
    ):
        source.backup(copy)
    shutil.move(draft, file)
    click.echo(f"written to {file}")


@click.command("copy-to")
@click.argument("url")
@with_schema
def copy_to(url: str) -> None:
    """
    Copy the whole shop to the empty database at URL, as in DATABASE_URL.

    All of it or nothing. Stop the shop first: a copy of one that sells is not kept.
    """
    target = copying.open_target(url)
    try:
        copied = copying.copy(current_shop().database, target, told=_Progress())
    finally:
        target.engine.dispose()
    _tell_copied(copied)
    if not copied.agrees:
        where = ", ".join(copied.differing) or "what the doctor says"
        click.echo(f"they differ in {where}; the target was left empty", err=True)
        sys.exit(1)
    click.echo(
        "Next: set DATABASE_URL to the new database and start the shop with it. What"
        " the old one sells from now on is not in the copy."
    )


class _Progress:
    """Says how far a copy has come, not more often than every two seconds."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def __call__(self, table: str, done: int, total: int) -> None:
        if time.monotonic() - self._said_at >= 2:
            self._said_at = time.monotonic()
            click.echo(f"copied {done:,} of {total:,} rows ({table})", err=True)


def _tell_copied(copied: Copied) -> None:
    click.echo(f"{'table':<20}{'source':>12}{'target':>12}")
    there = copied.target.rows
    for table, rows in copied.source.rows.items():
        click.echo(f"{table:<20}{rows:>12}{there[table]:>12}")
    for name, side in (("source", copied.source), ("target", copied.target)):
        for finding in side.findings:
            click.echo(f"{name}: {finding.subject}: {finding.explanation}")
        said = f"{len(side.findings)} findings" if side.findings else "all is well"
        click.echo(f"doctor on the {name}: {said}")
