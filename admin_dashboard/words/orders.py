"""Orders in Dutch: how they stand, and how their amounts add up."""

from collections.abc import Iterator

from admin_dashboard.words.figures import TIMES, moment, money, percentage, plain
from core.models.orders import FULFILLED, PAID, REFUNDED, REVIEW
from core.orders.views import OrderView

STATUSES = {
    PAID: "Betaald",
    REVIEW: "Nakijken",
    FULFILLED: "Verzonden",
    REFUNDED: "Terugbetaald",
}


def lines_of(order: OrderView) -> str:
    return ", ".join(f"{line.quantity} {TIMES} {line.name}" for line in order.lines)


def status_of(order: OrderView) -> str:
    """Say how an order stands, and what has become of its money since."""
    if order.lost_cents:
        return "Deels teruggehaald" if order.left_cents else "Teruggehaald"
    if order.status == REFUNDED and order.refund_under_way:
        return "Terugbetaling onderweg"
    label = STATUSES[order.status]
    return f"{label}, betwist" if order.is_disputed else label


def vat_of(order: OrderView) -> str:
    """Name the VAT in what is left of an order's payment."""
    if order.is_vat_exempt:
        return "vrijgesteld"
    return ", ".join(
        f"{money(cents, order.currency)} ({percentage(rate)})"
        for rate, cents in order.vat_left
    )


def note(order: OrderView) -> str:
    """Say what is unusual about an order."""
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
