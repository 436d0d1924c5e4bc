"""The database: its schema, its state and its copies."""

import json
import sys
import time
from pathlib import Path

import click

from core.maintenance import backup, copying, doctor
from core.maintenance.copying import Copied
from core.maintenance.doctor import Finding
from core.shop import Shop
from storefront.commands.decorators import on_shop, with_schema

PROGRESS_SECONDS = 2


@click.command("migrate")
@on_shop
def migrate(shop: Shop) -> None:
    """Bring the database's schema up to date; safe to repeat."""
    if shop.database.is_sqlite:
        folder = Path(str(shop.database.engine.url.database)).parent
        folder.mkdir(parents=True, exist_ok=True)
    shop.database.migrate()


@click.command("doctor")
@click.option(
    "--repair", "do_repair", is_flag=True, help="Mend what needs no person to decide."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@with_schema
def examine(shop: Shop, do_repair: bool, as_json: bool) -> None:
    """Compare counters, reservations and the ledger; exit with 1 if they differ."""
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
        _tell_found("repaired", repaired)
        click.echo(_tell_found("found", findings))
    sys.exit(1 if findings else 0)


def _tell_found(word: str, findings: list[Finding]) -> str:
    """Print the findings, and return how many there are."""
    for finding in findings:
        click.echo(f"{word}: {finding.subject}: {finding.explanation}")
    return f"{len(findings)} findings" if findings else "all is well"


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_schema
def back_up(shop: Shop, file: Path) -> None:
    """Copy a SQLite shop, running or not, to FILE as it is at this moment."""
    backup.back_up(shop.database, file)
    click.echo(f"written to {file}")


@click.command("copy-to")
@click.argument("url")
@with_schema
def copy_to(shop: Shop, url: str) -> None:
    """
    Copy the whole shop to the empty database at URL, as in DATABASE_URL.

    All of it or nothing. Stop the shop first: a copy of one that sells is not kept.
    """
    target = copying.open_target(url)
    try:
        copied = copying.copy(shop.database, target, told=_Progress())
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
    """Prints the progress of a copy, at most every PROGRESS_SECONDS."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def __call__(self, table: str, done: int, total: int) -> None:
        if time.monotonic() - self._said_at >= PROGRESS_SECONDS:
            self._said_at = time.monotonic()
            click.echo(f"copied {done:,} of {total:,} rows ({table})", err=True)


def _tell_copied(copied: Copied) -> None:
    click.echo(f"{'table':<20}{'source':>12}{'target':>12}")
    there = copied.target.rows
    for table, rows in copied.source.rows.items():
        click.echo(f"{table:<20}{rows:>12}{there[table]:>12}")
    for name, side in (("source", copied.source), ("target", copied.target)):
        summary = _tell_found(name, side.findings)
        click.echo(f"doctor on the {name}: {summary}")
