"""Dutch or English, and how money and times are written in them."""

from collections.abc import Mapping
from datetime import datetime

from flask import Flask, Response, has_request_context, request, session
from flask_babel import format_date, format_time, get_locale

from core import formats
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
    return formats.money(cents, currency, current())


def percentage(basis_points: int) -> str:
    return formats.percentage(basis_points, current())


def country(code: str) -> str:
    return formats.country(code, current())


def address_lines(name: str, address: Mapping[str, str]) -> tuple[str, ...]:
    return formats.address_lines(name, address, current())


def clock(at: datetime) -> str:
    return str(format_time(at, "HH:mm"))


def day(at: datetime) -> str:
    # Both languages are written for the same country: not "November 22".
    return str(format_date(at, "d MMMM y"))


def moment(at: datetime) -> str:
    return f"{day(at)}, {clock(at)}"


def iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def init_app(app: Flask) -> None:
    for write in (money, percentage, country, clock, day, iso):
        app.add_template_filter(write)

    @app.context_processor
    def words() -> dict[str, object]:
        config = current_shop().config
        return {
            "locale": current(),
            "is_demo": config.is_demo,
            "is_vat_exempt": config.vat.is_exempt,
        }

    @app.after_request
    def say_language(response: Response) -> Response:
        if response.mimetype in ("text/html", "application/problem+json"):
            response.headers["Content-Language"] = current()
            response.vary.update(("Accept-Language", "Cookie"))
        return response
