"""What was sold, money that went back, and money that a bank wants back."""

from collections.abc import Sequence

import streamlit as st

from admin_dashboard.parts import acting, refund_window, shop_data
from admin_dashboard.tables import columns, export, picking
from admin_dashboard.tables import money as money_tables
from admin_dashboard.tables import orders as order_tables
from admin_dashboard.words import orders as words
from core.orders.views import OrderView

ROWS = 100
EXPORT_ROWS = 10_000
ALL = "Alle"
STATUSES = {label: status for status, label in words.STATUSES.items()}


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def sold() -> None:
    # Before anything is read anew: it is a row of what the owner saw.
    if number := picking.picked("orders"):
        st.switch_page("app_pages/order.py", query_params={"order": str(number)})
    search, choice = st.columns([3, 1])
    text = search.text_input(
        "Zoek een bestelling",
        key="order",
        placeholder="nummer, klant, product, cs_… of pi_…",
    ).strip()
    chosen = choice.selectbox("Status", [ALL, *STATUSES], key="status")
    status = STATUSES.get(chosen, "")
    orders = shop_data.orders(text=text, status=status, limit=ROWS)
    if orders:
        show(orders, text, status)
    elif text or status:
        st.info("Geen bestelling gevonden.")
    else:
        st.info("Er is nog niets verkocht.")


def show(orders: Sequence[OrderView], text: str, status: str) -> None:
    st.caption("Vink een regel aan om de bestelling te openen.")
    picking.show(
        "orders",
        [order.number for order in orders],
        order_tables.of_orders(orders),
        "Bestellingen",
    )
    if len(orders) == ROWS:
        st.caption(f"De nieuwste {ROWS}; zoek om oudere te zien.")
    export.show_button(
        lambda: order_tables.for_a_sheet(
            shop_data.orders(text=text, status=status, limit=EXPORT_ROWS)
        ),
        "bestellingen.csv",
    )


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def refunded() -> None:
    st.header("Terugbetalingen")
    refunds = shop_data.refunds(limit=ROWS)
    if not refunds:
        st.info("Er hoefde niets terugbetaald te worden.")
        return
    numbers = shop_data.numbers_of([refund.checkout_id for refund in refunds])
    for refund in refunds:
        if refund.owed_cents:
            refund_window.show_failed(refund, numbers.get(refund.checkout_id))
    columns.show(money_tables.of_refunds(refunds, numbers), "Terugbetalingen")
    if len(refunds) == ROWS:
        st.caption(f"De nieuwste {ROWS}.")


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def disputed() -> None:
    st.header("Betwiste betalingen")
    disputes = shop_data.disputes(limit=ROWS)
    if not disputes:
        st.info("Er wordt geen betaling betwist.")
        return
    numbers = shop_data.numbers_of([dispute.checkout_id for dispute in disputes])
    st.caption("Antwoorden doet u bij Stripe, voor de termijn om is.")
    columns.show(money_tables.of_disputes(disputes, numbers), "Betwiste betalingen")


st.title("Bestellingen")
acting.show_notice()
sold()
refunded()
disputed()
refund_window.show(None)
