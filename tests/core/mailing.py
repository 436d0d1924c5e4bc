"""Situations for tests of the outbox: letters that are due, and a shop that sends."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.config import Smtp
from core.database.engine import Database
from core.mail import outbox
from core.mail.letter import Letter
from core.models.mail import ORDER_MAIL, Mail
from core.models.refunds import SENT
from core.shop import Shop

SENDER = "Voorraad <shop@voorraad.example>"
TEXT = "Dag Marijke,\n.een punt\n..twee punten\n\nVoor € 12,50 één kop.\n"


def words(_session: Session, mail_row: Mail) -> Letter:
    """Write a letter without knowing what it is about."""
    recipients = tuple(mail_row.recipient.split())
    return Letter(recipients, f"Je bestelling: {mail_row.key}", TEXT, f"<p>{TEXT}</p>")


def all_sent(database: Database) -> None:
    """Let all letters have gone out."""
    sent = update(Mail).values(status=SENT)
    database.write(lambda session: session.execute(sent))


def with_server(shop: Shop, server: Smtp | None) -> Shop:
    config = replace(shop.config, smtp=server, mail_from=SENDER)
    return replace(shop, config=config)


def live(shop: Shop) -> Shop:
    config = replace(shop.config, stripe_secret_key="sk_live_shop")
    return replace(shop, config=config)


def add_letter(
    shop: Shop,
    key: str = "order-1",
    *,
    recipient: str = "m@klant.example",
    kind: str = ORDER_MAIL,
    due_at: datetime | None = None,
) -> int:
    """Put a letter into the outbox; return its id."""

    def work(session: Session) -> int:
        row = Mail(
            key=key,
            kind=kind,
            recipient=recipient,
            due_at=due_at or shop.clock(),
            created_at=shop.clock(),
        )
        session.add(row)
        session.flush()
        return row.id

    return shop.database.write(work)


def letter(shop: Shop, mail_id: int) -> Mail:
    with shop.database.read() as session:
        return session.get_one(Mail, mail_id)


def send(shop: Shop) -> outbox.Sent:
    return outbox.send_due(shop, words)


def send_again(shop: Shop, mail_id: int) -> bool:
    return shop.database.write(
        lambda session: outbox.send_again(session, mail_id, now=shop.clock())
    )
