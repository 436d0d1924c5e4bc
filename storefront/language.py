"""Dutch or English, and how money and times are written in them."""

from datetime import datetime
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency
from flask import Flask, Response, has_request_context, request, session
from flask_babel import format_date, format_time, get_locale

from storefront.extensions import current_shop

LOCALES = ("nl", "en")


def choose() -> str:
    """Return the visitor's choice, else what the browser asks for, else Dutch."""
    if not has_request_context():
        return "nl"
    chosen = session.get("locale")
    if chosen in LOCALES:
        return str(chosen)
    return request.accept_languages.best_match(LOCALES, "nl") or "nl"


def current() -> str:
    return str(get_locale() or "nl")


def money(cents: int, currency: str) -> str:
    return format_currency(Decimal(cents) / 100, currency.upper(), locale=current())


def clock(moment: datetime) -> str:
    return str(format_time(moment, "HH:mm"))


def day(moment: datetime) -> str:
    # Both languages are written for the same country: not "November 22".
    return str(format_date(moment, "d MMMM y"))


def country(code: str) -> str:
    """Return the name of a country by its code, or the code."""
    return str(Locale.parse(current()).territories.get(code, code))


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def init_app(app: Flask) -> None:
    for write in (money, clock, day, iso, country):
        app.add_template_filter(write)

    @app.context_processor
    def words() -> dict[str, object]:
        return {"locale": current(), "is_demo": current_shop().config.is_demo}

    @app.after_request
    def say_language(response: Response) -> Response:
        if response.mimetype in ("text/html", "application/problem+json"):
            response.headers["Content-Language"] = current()
            response.vary.update(("Accept-Language", "Cookie"))
        return response
