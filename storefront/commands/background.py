"""What a running shop does in the background, done once and now."""

import json
import sys
from datetime import datetime, timedelta

import click
from flask import current_app

from core.checkout import expiry
from core.checkout.reconcile import reconcile
from core.mail import outbox
from core.owner import to_dos
from core.shop import Shop
from storefront.commands.decorators import with_schema
from storefront.letters.writer import writer


@click.command("cleanup-reservations")
@with_schema
def clean_up(shop: Shop) -> None:
    """End every checkout whose hold is over, once Stripe has closed its session."""
    swept = expiry.sweep(shop, everything=True)
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
def compare(shop: Shop, days: int | None, as_json: bool) -> None:
    """
    Compare with Stripe, settle what differs, and list what needs a person.

    Exits with 1 if something could not be settled now or needs a person.
    """
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
def send_mail(shop: Shop) -> None:
    """Send the letters that are due; a running shop does so by itself."""
    sent = outbox.send_due(shop, writer(current_app))
    if sent.waiting:
        raise click.ClickException(f"{sent.waiting} letters wait: SMTP_URL is not set")
    click.echo(
        f"{sent.sent} sent, {sent.again} to be tried again, {sent.failed} failed,"
        f" {sent.unknown} of which nobody knows"
    )
