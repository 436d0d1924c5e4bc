"""Amounts, numbers and times in Dutch, and amounts that an owner types."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_decimal

from core import formats
from core.owner.reports import MOST_COUNTED

LOCALE = "nl"
TIMES = "\N{MULTIPLICATION SIGN}"
ZONE = ZoneInfo("Europe/Amsterdam")
AMOUNT = re.compile(r"([0-9]{1,9})(?:[.,]([0-9]{1,2}))?")
THOUSANDS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}")
TO_THE_SECOND = "d MMM y HH:mm:ss"
# Every spreadsheet reads '2026-11-22 14:32' as date and time.
FOR_A_SHEET = "yyyy-MM-dd HH:mm"
# It does not break between lines.
SHORT = "d MMM HH:mm".replace(" ", "\N{NO-BREAK SPACE}")
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def money(cents: int, currency: str = "eur") -> str:
    return formats.money(cents, currency, LOCALE)


def percentage(basis_points: int) -> str:
    return formats.percentage(basis_points, LOCALE)


def number(value: int) -> str:
    return format_decimal(value, locale=LOCALE)


def counted(value: int) -> str:
    """Write a count; those beyond MOST_COUNTED are not known exactly."""
    most = number(MOST_COUNTED)
    return f"meer dan {most}" if value > MOST_COUNTED else number(value)


def moment(at: datetime | None, pattern: str = "d MMM y HH:mm") -> str:
    """Return date and time by the shop's clock, '22 nov 2026 14:32'; "" for None."""
    return format_datetime(at, pattern, tzinfo=ZONE, locale=LOCALE) if at else ""


def plain(text: str) -> str:
    """Escape *text* so that Markdown shows it as it is."""
    return PUNCTUATION.sub(r"\\\1", text)


def typed_amount(cents: int) -> str:
    """Return an amount as one would type it: '1234,50'."""
    return f"{cents // 100},{cents % 100:02}"


def cents_of(text: str) -> int | None:
    """Read an amount that was typed; None if it is ambiguous or no amount."""
    typed = "".join(text.split()).removeprefix("\N{EURO SIGN}")
    if THOUSANDS.fullmatch(typed):
        typed = typed.replace(".", "")
    found = AMOUNT.fullmatch(typed)
    if found is None:
        return None
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
