"""Writes each kind of letter, and gives it its form as text and as HTML."""

from collections.abc import Callable, Mapping

from flask import Flask, current_app
from flask_babel import force_locale
from sqlalchemy.orm import Session

from core.mail.letter import Letter, LetterWriter
from core.models.mail import (
    GONE_MAIL,
    ORDER_MAIL,
    OWED_MAIL,
    REFUND_MAIL,
    TO_DO_MAIL,
    Mail,
)
from storefront import language
from storefront.letters import customer, owner
from storefront.letters.parts import Content

_CONTENTS: Mapping[str, Callable[[Session, Mail], Content | None]] = {
    ORDER_MAIL: customer.order,
    REFUND_MAIL: customer.refund,
    OWED_MAIL: customer.refund,
    GONE_MAIL: customer.gone,
    TO_DO_MAIL: owner.to_do,
}


def writer(app: Flask) -> LetterWriter:
    """Return what writes the letters of *app*, in any thread and without a request."""

    def write(session: Session, mail: Mail) -> Letter | None:
        locale = mail.locale if mail.locale in language.LOCALES else "nl"
        with app.app_context(), force_locale(locale):
            content = _CONTENTS[mail.kind](session, mail)
            if content is None:
                return None
            return Letter(
                content.recipients,
                content.subject,
                text=_rendered("mail/letter.txt", content),
                html=_rendered("mail/letter.html", content),
            )

    return write


def _rendered(template: str, content: Content) -> str:
    # Not render_template: its context processors ask for a visitor.
    found = current_app.jinja_env.get_template(template)
    return found.render(content=content, locale=language.current())
