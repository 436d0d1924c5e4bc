"""What was sold, and money that went back."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from admin_dashboard import shop_data, words
from admin_dashboard.columns import MONEY_COLUMNS
from admin_dashboard.export import csv_of
from core.queries import OrderView
from core.reports import RefundView

ROWS = 100
EXPORT_ROWS = 10_000


@st.fragment(run_every="5s")
def sold() -> None:
    text = st.text_input(
        "Zoek een bestelling",
        key="order",
        placeholder="nummer, klant, product of Stripe-sessie",
    ).strip()
    with shop_data.told_plainly():
        orders = shop_data.orders(text, ROWS)
        if not orders:
            st.info(
                "Geen bestelling gevonden." if text else "Er is nog niets verkocht."
            )
            return
        st.dataframe(
            table_of(orders),
            hide_index=True,
            column_config=MONEY_COLUMNS,
            alt="Bestellingen",
        )
        if len(orders) == ROWS:
            st.caption(f"De nieuwste {ROWS}; zoek om oudere te zien.")
        st.download_button(
            "Exporteer als CSV",
            lambda: csv_of(table_of(shop_data.orders(text, EXPORT_ROWS))),
            file_name="bestellingen.csv",
            mime="text/csv",
            on_click="ignore",
        )


@st.fragment(run_every="5s")
def refunded() -> None:
    st.subheader("Terugbetalingen")
    st.caption("Geld dat kwam toen de goederen al weg waren, en dat teruggaat.")
    with shop_data.told_plainly():
        refunds = shop_data.refunds(ROWS)
        if not refunds:
            st.info("Er hoefde niets terugbetaald te worden.")
            return
        st.dataframe(
            refund_table_of(refunds),
            hide_index=True,
            column_config=MONEY_COLUMNS,
            alt="Terugbetalingen",
        )
        if len(refunds) == ROWS:
            st.caption(f"De nieuwste {ROWS}.")


def table_of(orders: Sequence[OrderView]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Nummer": order.number,
                "Wanneer": words.moment(order.created_at),
                "Status": words.ORDER_STATUSES[order.status],
                "Klant": order.customer_name or order.customer_email,
                "Wat": words.lines_of(order),
                "Bedrag": words.money(order.amount_cents, order.currency),
                "Btw": words.vat_of(order),
                "Opmerking": words.note(order),
                "E-mail": order.customer_email,
                "Stripe-sessie": order.stripe_session_id,
            }
            for order in orders
        ]
    )


def refund_table_of(refunds: Sequence[RefundView]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Wanneer": words.moment(refund.created_at),
                "Bedrag": words.money(refund.amount_cents, refund.currency),
                "Status": words.REFUND_STATUSES[refund.status],
                "Afrekening": refund.checkout_id,
                "Betaling": refund.payment_intent,
                "Terugbetaling": refund.stripe_refund_id or "nog geen",
                "Stripe-sessie": refund.stripe_session_id,
            }
            for refund in refunds
        ]
    )


st.title("Bestellingen")
sold()
refunded()
