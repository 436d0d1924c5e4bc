"""Orders as tables: one to look at, and one for a spreadsheet."""

from collections.abc import Sequence

import pandas as pd

from admin_dashboard.words import figures
from admin_dashboard.words import orders as words
from admin_dashboard.words.figures import FOR_A_SHEET, moment, money
from core import formats
from core.orders.views import OrderView


def of_orders(orders: Sequence[OrderView]) -> pd.DataFrame:
    """Tabulate orders as the owner reads them."""
    return pd.DataFrame(
        {
            "Nummer": order.number,
            "Wanneer": moment(order.created_at),
            "Status": words.status_of(order),
            "Klant": order.customer_name or order.customer_email,
            "Bedrag": money(order.amount_cents, order.currency),
            "Wat": words.lines_of(order),
            "Verzending": order.shipping_option,
            "Blijft over": money(order.left_cents, order.currency),
            "Btw": words.vat_of(order),
            "Opmerking": words.note(order),
            "E-mail": order.customer_email,
            "Stripe-sessie": order.stripe_session_id,
        }
        for order in orders
    )


def for_a_sheet(orders: Sequence[OrderView]) -> pd.DataFrame:
    """
    Tabulate orders for a spreadsheet: amounts are numbers, times have one format.

    VAT is of what is left after refunds, with a column for each rate.
    """
    rates = sorted({rate for order in orders for rate, _ in order.vat}, reverse=True)
    return pd.DataFrame([_row_of(order, rates) for order in orders])


def _row_of(order: OrderView, rates: Sequence[int]) -> dict[str, object]:
    at, vat = order.shipping_address, dict(order.vat_left)
    return {
        "Nummer": order.number,
        "Wanneer": moment(order.created_at, FOR_A_SHEET),
        "Status": words.status_of(order),
        "Verzonden": moment(order.fulfilled_at, FOR_A_SHEET),
        "Klant": order.customer_name,
        "E-mail": order.customer_email,
        "Telefoon": order.customer_phone,
        "Wat": words.lines_of(order),
        "Valuta": order.currency.upper(),
        "Goederen": order.goods_cents / 100,
        "Korting": -order.discount_cents / 100,
        "Kortingscode": order.promotion_code,
        "Verzendkosten": order.shipping_cents / 100,
        "Verschil": order.difference_cents / 100,
        "Betaald": order.amount_cents / 100,
        "Terugbetaald": -order.refunded_cents / 100,
        "Teruggehaald door de bank": -order.lost_cents / 100,
        "Blijft over": order.left_cents / 100,
        **{f"Btw {figures.percentage(r)}": vat.get(r, 0) / 100 for r in rates},
        "Verzending": order.shipping_option,
        "Naam": order.shipping_name,
        "Adres": ", ".join(filter(None, (at.get("line1"), at.get("line2")))),
        "Postcode": at.get("postal_code") or "",
        "Plaats": at.get("city") or "",
        "Land": formats.country(at.get("country") or "", figures.LOCALE),
        "Opmerking": words.note(order),
        "Stripe-sessie": order.stripe_session_id,
        "Betaling": order.payment_intent,
    }
