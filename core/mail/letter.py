"""A letter: its words, the message in which it travels, and a demo's file of it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from core.config import Config
from core.mail.smtp import NotTakenError, ascii_address
from core.models.mail import TO_DO_MAIL, Mail


@dataclass(frozen=True)
class Letter:
    """What is sent, and to whom; the same words as text and as HTML."""

    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str


# Returns the words; None if what the letter is about does not exist.
LetterWriter = Callable[[Session, Mail], Letter | None]


@dataclass(frozen=True)
class Message:
    """What a mail server is told: from whom, to whom, and the text itself."""

    sender: str
    recipients: tuple[str, ...]
    text: bytes


def compose(config: Config, mail: Mail, letter: Letter | None) -> Message:
    """
    Put a letter into the form in which it travels.

    Its Message-ID is the same each time, so that a recipient who gets it twice, because
    a person sent it again, can tell. Raises NotTakenError, a final one, if there is
    nobody whom it can go to.
    """
    if letter is None:
        raise NotTakenError("what it tells about is not there", is_final=True)
    name, address = parseaddr(config.mail_from)
    try:
        sender = Address(name, addr_spec=ascii_address(address))
    except NotTakenError as error:
        # Not final: the letters wait until the setting is corrected.
        raise NotTakenError("MAIL_FROM is no address that can be sent from") from error
    recipients = _addresses(mail, letter)
    made = EmailMessage(policy=SMTP)
    made["From"] = sender
    made["To"] = [Address(addr_spec=each) for each in recipients]
    made["Subject"] = " ".join(letter.subject.split())
    made["Date"] = mail.created_at
    moment = int(mail.created_at.timestamp())
    made["Message-ID"] = f"<{mail.key}.{moment}@{host_of(config)}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(letter.text, cte="quoted-printable")
    made.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return Message(sender.addr_spec, recipients, made.as_bytes())


def host_of(config: Config) -> str:
    """Return the host of the shop's own address; SHOP_URL is in ASCII."""
    return urlsplit(config.shop_url).hostname or "localhost"


def copy_of(config: Config, key: str) -> Path:
    """Return where a demo keeps the letter of this *key*."""
    return config.data_dir / "mail" / f"{key}.eml"


def keep_copy(config: Config, key: str, message: Message) -> None:
    """
    Write a letter to its file, which appears whole or not at all; safe to repeat.

    Raises NotTakenError if it cannot be written.
    """
    path = copy_of(config, key)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(message.text)
        draft.replace(path)
    except OSError as error:
        raise NotTakenError(f"cannot write {path.name}: {error.strerror}") from error


def _addresses(mail: Mail, letter: Letter) -> tuple[str, ...]:
    """Return the valid addresses; an invalid one does not keep it from the others."""
    found, refusals = [], []
    for recipient in letter.recipients:
        try:
            found.append(ascii_address(recipient))
        except NotTakenError as error:
            refusals.append(error)
    if found:
        return tuple(found)
    if refusals:
        raise refusals[0]
    nobody = "no owner has an address" if mail.kind == TO_DO_MAIL else "no address"
    raise NotTakenError(nobody, is_final=True)
