"""What was sold, money that went back, and money that a bank wants back."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from admin_dashboard import acting, money_tables, refund_window, shop_data, words
from admin_dashboard.columns import MONEY_COLUMNS
from admin_dashboard.export import csv_of
from core.models import FAILED
from core.order_views import OrderView
from core.reports import RefundView

ROWS = 100
EXPORT_ROWS = 10_000
ALL = "Alle"
STATUSES = {label: status for status, label in words.ORDER_STATUSES.items()}


@st.fragment(run_every="5s")
def sold() -> None:
    search, choice = st.columns([3, 1])
    text = search.text_input(
        "Zoek een bestelling",
        key="order",
        placeholder="nummer, klant, product of Stripe-sessie",
    ).strip()
    chosen = choice.selectbox("Status", [ALL, *STATUSES], key="status")
    status = STATUSES.get(chosen, "")
    with shop_data.told_plainly():
        orders = shop_data.orders(text, ROWS, status)
        if not orders:
            is_searched = text or status
            st.info(
                "Geen bestelling gevonden."
                if is_searched
                else "Er is nog niets verkocht."
            )
            return
        st.caption("Vink een regel aan om de bestelling te openen.")
        picked = st.dataframe(
            table_of(orders),
            hide_index=True,
            column_config=MONEY_COLUMNS,
            alt="Bestellingen",
            key="orders",
            on_select="rerun",
            selection_mode="single-row",
        )
        open_picked(picked["selection"]["rows"], orders)
        if len(orders) == ROWS:
            st.caption(f"De nieuwste {ROWS}; zoek om oudere te zien.")
        st.download_button(
            "Exporteer als CSV",
            lambda: csv_of(table_of(shop_data.orders(text, EXPORT_ROWS, status))),
            file_name="bestellingen.csv",
            mime="text/csv",
            on_click="ignore",
        )


def open_picked(rows: Sequence[int], orders: Sequence[OrderView]) -> None:
    if rows and rows[0] < len(orders):
        number = orders[rows[0]].number
        st.switch_page("app_pages/order.py", query_params={"order": str(number)})


@st.fragment(run_every="5s")
def refunded() -> None:
    st.subheader("Terugbetalingen")
    with shop_data.told_plainly():
        refunds = shop_data.refunds(ROWS)
        if not refunds:
            st.info("Er hoefde niets terugbetaald te worden.")
            return
        numbers = shop_data.numbers_of([refund.checkout_id for refund in refunds])
        done = money_tables.tried_again(refunds)
        waiting = money_tables.unsettled(shop_data.to_dos(ROWS))
        for refund in refunds:
            is_settled = refund.id in done or refund.payment_intent not in waiting
            if refund.status == FAILED and not is_settled:
                show_failed(refund, numbers.get(refund.checkout_id))
        st.dataframe(
            money_tables.of_refunds(refunds, numbers),
            hide_index=True,
            column_config=MONEY_COLUMNS,
            alt="Terugbetalingen",
        )
        if len(refunds) == ROWS:
            st.caption(f"De nieuwste {ROWS}.")


def show_failed(refund: RefundView, number: int | None) -> None:
    amount = words.money(refund.amount_cents, refund.currency)
    of_order = f" van bestelling {number}" if number is not None else ""
    st.error(
        f"De terugbetaling van {amount}{of_order} is mislukt; de klant heeft dit nog"
        " tegoed."
    )
    if st.button(f"Opnieuw proberen: {amount}", key=f"again-{refund.id}"):
        refunded_cents = 0
        if refund.order_id and (found := shop_data.case_of_order(refund.order_id)):
            refunded_cents = found.order.refunded_cents if found.order else 0
        refund_window.open_again(refund, refunded_cents)
        st.rerun()


@st.fragment(run_every="5s")
def disputed() -> None:
    st.subheader("Betwiste betalingen")
    with shop_data.told_plainly():
        disputes = shop_data.disputes(ROWS)
        if not disputes:
            st.info("Er wordt geen betaling betwist.")
            return
        numbers = shop_data.numbers_of([dispute.checkout_id for dispute in disputes])
        st.caption("Antwoorden doet u bij Stripe, voor de termijn om is.")
        st.dataframe(
            money_tables.of_disputes(disputes, numbers),
            hide_index=True,
            column_config=MONEY_COLUMNS,
            alt="Betwiste betalingen",
        )


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
                "Terugbetaald": words.money(order.refunded_cents, order.currency)
                if order.refunded_cents
                else "",
                "Btw": words.vat_of(order),
                "Opmerking": words.note(order),
                "E-mail": order.customer_email,
                "Stripe-sessie": order.stripe_session_id,
            }
            for order in orders
        ]
    )


st.title("Bestellingen")
acting.show_notice()
sold()
refunded()
disputed()
refund_window.show(None)
