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
from core.queries import OrderView
from core.reports import MOST_COUNTED, OpenReservation

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
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def money(cents: int, currency: str = "eur") -> str:
    return format_currency(Decimal(cents) / 100, currency.upper(), locale=LOCALE)


def number(value: int) -> str:
    return format_decimal(value, locale=LOCALE)


def counted(value: int) -> str:
    """Return how many were counted; beyond a bound that is not told exactly."""
    if value > MOST_COUNTED:
        return f"meer dan {number(MOST_COUNTED)}"
    return number(value)


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


def note(order: OrderView) -> str:
    """Say what is not as usual about an order."""
    notes = []
    if order.was_late:
        notes.append("betaald na afloop van de reservering; de goederen waren nog vrij")
    paid = (order.amount_cents, order.currency)
    promised = (order.promised_cents, order.promised_currency)
    if paid != promised:
        notes.append(f"betaald {money(*paid)}, gevraagd {money(*promised)}")
    return "; ".join(notes)
