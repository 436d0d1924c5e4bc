"""The letters that a demo keeps as files instead of sending them."""

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from core.config import Config
from core.mail.letter import copy_of


@dataclass(frozen=True)
class LetterText:
    recipient: str
    subject: str
    text: str


def read(config: Config, key: str) -> LetterText | None:
    """Read a kept letter; None if there is no file of this *key*."""
    try:
        content = copy_of(config, key).read_bytes()
    except OSError:
        return None
    letter = message_from_bytes(content, EmailMessage, policy=policy.default)
    body = letter.get_body(preferencelist=("plain",))
    return LetterText(
        recipient=str(letter["To"] or ""),
        subject=str(letter["Subject"] or ""),
        text=str(body.get_content()) if body is not None else "",
    )
