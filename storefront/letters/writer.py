"""Writes each kind of letter, and gives it its form as text and as HTML."""

from collections.abc import Callable, Mapping

from flask import Flask
from flask_babel import force_locale
from sqlalchemy.orm import Session

from core.mail.letter import Letter, LetterWriter
from core.models import mail as models
from core.models.mail import Mail
from storefront import language
from storefront.letters import customer, owner
from storefront.letters.parts import Content

_CONTENTS: Mapping[str, Callable[[Session, Mail], Content | None]] = {
    models.ORDER_MAIL: customer.order,
    models.REFUND_MAIL: customer.refund,
    models.OWED_MAIL: customer.refund,
    models.GONE_MAIL: customer.gone,
    models.TO_DO_MAIL: owner.to_do,
}


def writer(app: Flask) -> LetterWriter:
    """Return what writes the letters of *app*, in any thread and without a request."""

    def write(session: Session, mail: Mail) -> Letter | None:
        locale = mail.locale if mail.locale in language.LOCALES else "nl"
        with app.app_context(), force_locale(locale):
            content = _CONTENTS[mail.kind](session, mail)
            if content is None:
                return None
            # Not render_template: its context processors ask for a visitor.
            text, html = (
                app.jinja_env.get_template(f"mail/letter.{form}").render(
                    content=content, locale=locale
                )
                for form in ("txt", "html")
            )
            return Letter(content.recipients, content.subject, text, html)

    return write
