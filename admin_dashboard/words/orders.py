"""How the dashboard says things: money, times and statuses in Dutch."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_currency, format_decimal

from core.models.mail import (
    GONE_MAIL,
    ORDER_MAIL,
    OWED_MAIL,
    READY,
    REFUND_MAIL,
    SENDING,
    TO_DO_MAIL,
)
from core.models.orders import FULFILLED, PAID, REFUNDED, REVIEW
from core.models.records import PAID_TWICE, TOO_LATE
from core.models.refunds import AUTOMATIC, DONE, FAILED, OWNER, REQUESTED, SENT, STRIPE
from core.orders.views import OrderView
from core.owner.reports import MOST_COUNTED, OpenReservation
from core.refunds.views import DisputeView, RefundView

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
    SENT: "Onderweg bij de bank",
    DONE: "Gedaan",
    FAILED: "Mislukt",
}
REFUND_CAUSES = {AUTOMATIC: "Automatisch", OWNER: "Door u", STRIPE: "Bij Stripe"}
REFUND_REASONS = {
    TOO_LATE: "betaald toen de goederen al weg waren",
    PAID_TWICE: "twee keer betaald",
}
# Stripe's words for what becomes of a dispute.
DISPUTE_STATUSES = {
    "needs_response": "Wacht op uw antwoord",
    "under_review": "De bank beoordeelt uw antwoord",
    "won": "Gewonnen: u houdt het geld",
    "lost": "Verloren: het geld is terug naar de klant",
    "prevented": "Voorkomen",
    "warning_needs_response": "Vooraankondiging: wacht op uw antwoord",
    "warning_under_review": "Vooraankondiging: de bank beoordeelt uw antwoord",
    "warning_closed": "Vooraankondiging gesloten",
}
DISPUTE_REASONS = {
    "bank_cannot_process": "de bank kon niet verwerken",
    "check_returned": "cheque teruggekomen",
    "credit_not_processed": "terugbetaling niet ontvangen",
    "customer_initiated": "klant vraagt geld terug",
    "debit_not_authorized": "afschrijving niet toegestaan",
    "duplicate": "dubbel betaald",
    "fraudulent": "klant zegt niet zelf betaald te hebben",
    "general": "geen reden gegeven",
    "incorrect_account_details": "verkeerde rekeninggegevens",
    "insufficient_funds": "saldo te laag",
    "noncompliant": "niet volgens de regels",
    "product_not_received": "klant zegt niets ontvangen te hebben",
    "product_unacceptable": "klant vindt het product niet goed",
    "subscription_canceled": "abonnement was opgezegd",
    "unrecognized": "klant herkent de betaling niet",
}
MAIL_KINDS = {
    ORDER_MAIL: "Bevestiging van een bestelling",
    REFUND_MAIL: "Bericht van een terugbetaling",
    OWED_MAIL: "Bericht dat terugbetalen niet lukte",
    GONE_MAIL: "Bericht dat de goederen weg waren",
    TO_DO_MAIL: "Bericht voor u: iets te doen",
}
MAIL_STATUSES = {
    READY: "Wacht op verzending",
    SENDING: "Onbekend of hij is aangekomen",
    SENT: "Verstuurd",
    FAILED: "Mislukt",
}
AMOUNT = re.compile(r"([0-9]{1,9})(?:[.,]([0-9]{1,2}))?")
THOUSANDS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}")
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


def sheet_moment(at: datetime) -> str:
    """Return '2026-11-22 14:32', which every spreadsheet takes for a moment."""
    return format_datetime(at, "yyyy-MM-dd HH:mm", tzinfo=ZONE, locale=LOCALE)


def exact_moment(at: datetime) -> str:
    """Return date and time to the second, '22 nov 2026 14:32:05'."""
    return format_datetime(at, "d MMM y HH:mm:ss", tzinfo=ZONE, locale=LOCALE)


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


def status_of(order: OrderView) -> str:
    """Say how an order stands, and what has become of its money since."""
    if order.lost_cents:
        return "Deels teruggehaald" if order.left_cents else "Teruggehaald"
    if order.status == REFUNDED and order.refund_under_way:
        return "Terugbetaling onderweg"
    label = ORDER_STATUSES[order.status]
    return f"{label}, betwist" if order.is_disputed else label


def vat_of(order: OrderView) -> str:
    """Name the VAT in what is left of an order's payment."""
    return ", ".join(
        f"{money(cents, order.currency)} ({percentage(rate)})"
        for rate, cents in order.vat_left
    )


def note(order: OrderView) -> str:
    """Say what is not as usual about an order."""
    notes = []
    if order.was_late:
        notes.append("betaald na afloop van de reservering; de goederen waren nog vrij")
    if not order.is_as_asked:
        paid = money(order.amount_cents, order.currency)
        asked = money(order.asked_cents, order.promised_currency)
        notes.append(f"betaald {paid}, gevraagd {asked}")
    if order.lost_cents:
        lost = money(order.lost_cents, order.currency)
        notes.append(f"de bank heeft {lost} teruggehaald")
    return "; ".join(notes)


def why_refunded(refund: RefundView) -> str:
    """Say who or what sent the money back, and why if that is known."""
    cause = REFUND_CAUSES[refund.cause]
    reason = REFUND_REASONS.get(refund.reason, refund.reason)
    return f"{cause}: {reason}" if reason else cause


def dispute_status(dispute: DisputeView) -> str:
    return DISPUTE_STATUSES.get(dispute.status, dispute.status)


def dispute_reason(dispute: DisputeView) -> str:
    return DISPUTE_REASONS.get(dispute.reason, dispute.reason)


def address_of(order: OrderView) -> str:
    """Return where the goods go, a line for each line of an envelope."""
    told = order.shipping_address
    city = " ".join(filter(None, (told.get("postal_code"), told.get("city"))))
    place = (told.get("line1"), told.get("line2"), city, told.get("state"))
    lines = (order.shipping_name, *place, country(told.get("country") or ""))
    return "\n".join(line for line in lines if line)


def country(code: str) -> str:
    """Return the name of a country by its code, or the code."""
    return str(Locale.parse(LOCALE).territories.get(code, code))


def typed_amount(cents: int) -> str:
    """Return an amount as one would type it: '1234,50'."""
    return f"{cents // 100},{cents % 100:02}"


def cents_of(text: str) -> int | None:
    """Read an amount that was typed; None if it could mean two things, or nothing."""
    typed = "".join(text.split()).removeprefix("\N{EURO SIGN}")
    if THOUSANDS.fullmatch(typed):
        typed = typed.replace(".", "")
    found = AMOUNT.fullmatch(typed)
    if found is None:
        return None
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def since(order: OrderView) -> str:
    """Say when an order was paid, and when its goods left."""
    told = f"betaald op {moment(order.created_at)}"
    if order.fulfilled_at is not None:
        told += f", verzonden op {moment(order.fulfilled_at)}"
    return told


def sums_of(order: OrderView) -> list[tuple[str, int, str]]:
    """Return how an order's amount adds up, and what is left: cents and currency."""
    sums = [*_sums_paid(order), *_sums_left(order)]
    goods = ("Goederen", order.goods_cents, order.promised_currency)
    return [goods, *((what, cents, order.currency) for what, cents in sums)]


def _sums_paid(order: OrderView) -> Iterator[tuple[str, int]]:
    code = f" ({plain(order.promotion_code)})" if order.promotion_code else ""
    option = f" ({plain(order.shipping_option)})" if order.shipping_option else ""
    if order.discount_cents:
        yield f"Korting{code}", -order.discount_cents
    if order.shipping_cents or option:
        yield f"Verzending{option}", order.shipping_cents
    if order.difference_cents:
        what = "Belasting" if order.is_tax_on_top else "Verschil"
        yield what, order.difference_cents
    yield "**Betaald**", order.amount_cents


def _sums_left(order: OrderView) -> Iterator[tuple[str, int]]:
    if order.refunded_cents:
        way = "Terugbetaling, onderweg" if order.refund_under_way else "Terugbetaald"
        yield way, -order.refunded_cents
    if order.lost_cents:
        yield "Teruggehaald door de bank", -order.lost_cents
    if order.left_cents != order.amount_cents:
        yield "**Blijft over**", order.left_cents
    for rate, cents in order.vat_left:
        yield f"Waarvan btw {percentage(rate)}", cents
