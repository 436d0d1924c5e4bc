"""How the dashboard says things: money, times and statuses in Dutch."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_currency, format_decimal

from core.models import (
    DONE,
    FAILED,
    FULFILLED,
    PAID,
    REFUNDED,
    REQUESTED,
    REVIEW,
)
from core.queries import OpenReservation, OrderView

LOCALE = "nl"
TIMES = "\N{MULTIPLICATION SIGN}"
ZONE = ZoneInfo("Europe/Amsterdam")
ORDER_STATUSES = {
    PAID: "Betaald",
    REVIEW: "Nakijken",
    FULFILLED: "Verzonden",
    REFUNDED: "Terugbetaald",
}
REFUND_STATUSES = {
    REQUESTED: "Aangevraagd",
    DONE: "Terugbetaald",
    FAILED: "Geweigerd door Stripe",
}
NOTES = {
    "paid after the hold was over; the units were still free": "betaald na afloop van"
    " de reservering; de goederen waren nog vrij",
    "paid after the hold was over; the units were gone": "betaald na afloop van de"
    " reservering; de goederen waren al weg",
}
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
OTHER_AMOUNT = re.compile(
    r"paid (\d+) ([a-z]{3}), asked for (\d+) ([a-z]{3}) \(cents\)"
)


def money(cents: int, currency: str = "eur") -> str:
    return format_currency(Decimal(cents) / 100, currency.upper(), locale=LOCALE)


def number(value: int) -> str:
    return format_decimal(value, locale=LOCALE)


def percentage(basis_points: int) -> str:
    return f"{format_decimal(Decimal(basis_points) / 100, locale=LOCALE)}%"


def moment(at: datetime) -> str:
    """Return date and time as the shop's clock shows them, '22 nov 2026 14:32'."""
    return format_datetime(at, "d MMM y HH:mm", tzinfo=ZONE, locale=LOCALE)


def short_moment(at: datetime) -> str:
    """Return '22 nov 14:32', which does not break between lines."""
    text = format_datetime(at, "d MMM HH:mm", tzinfo=ZONE, locale=LOCALE)
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def time_left(reservation: OpenReservation, now: datetime) -> str:
    if reservation.awaits_payment:
        return "wacht op betaling"
    if reservation.expires_at <= now:
        return "verlopen, wordt afgesloten"
    return duration(reservation.expires_at - now)


def duration(left: timedelta) -> str:
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    return f"{minutes:02}:{seconds:02}"


def plain(text: str) -> str:
    """Return *text* so that Markdown shows it as it is."""
    return PUNCTUATION.sub(r"\\\1", text)


def lines_of(order: OrderView) -> str:
    return ", ".join(f"{line.quantity} {TIMES} {line.name}" for line in order.lines)


def vat_of(order: OrderView) -> str:
    return ", ".join(
        f"{money(cents, order.currency)} ({percentage(rate)})"
        for rate, cents in order.vat
    )


def note(text: str) -> str:
    """Return what the core noted, in Dutch; a note in other words stays as it is."""
    for english, dutch in NOTES.items():
        text = text.replace(english, dutch)
    return OTHER_AMOUNT.sub(_other_amount, text)


def _other_amount(found: re.Match[str]) -> str:
    paid, paid_in, asked, asked_in = found.groups()
    return (
        f"betaald {money(int(paid), paid_in)}, gevraagd {money(int(asked), asked_in)}"
    )
