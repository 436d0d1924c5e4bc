"""What there is, what of it is reserved, and what needs a look."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from admin_dashboard.parts import shop_data
from admin_dashboard.tables.export import csv_of
from admin_dashboard.tables.stock_chart import chart_height, stock_chart
from admin_dashboard.words import orders as words
from core.mail import outbox
from core.owner.reports import Attention, StockLevel, Totals

BARS = 30
ROWS = 500
EXPORT_ROWS = 50_000


@st.fragment(run_every="5s")
def glance() -> None:
    with shop_data.told_plainly():
        totals = shop_data.totals()
        show_warnings(totals, shop_data.attention())
        show_totals(totals)
        st.header("Voorraad en reserveringen")
        show_chart(shop_data.stock_levels("", BARS), totals.products)


@st.fragment(run_every="5s")
def figures() -> None:
    st.header("De cijfers")
    text = st.text_input(
        "Zoek een product", key="product", placeholder="naam of SKU"
    ).strip()
    with shop_data.told_plainly():
        levels = shop_data.stock_levels(text, ROWS)
        if not levels:
            st.info("Geen product gevonden." if text else "Er zijn nog geen producten.")
            return
        st.dataframe(table_of(levels), hide_index=True, alt="Voorraad per product")
        if len(levels) == ROWS:
            st.caption(f"De eerste {ROWS}; zoek om de andere te zien.")
        st.download_button(
            "Exporteer als CSV",
            lambda: csv_of(table_of(shop_data.stock_levels(text, EXPORT_ROWS))),
            file_name="voorraad.csv",
            mime="text/csv",
            on_click="ignore",
        )


def show_warnings(totals: Totals, attention: Attention) -> None:
    if totals.overdue_checkouts:
        overdue = words.counted(totals.overdue_checkouts)
        st.warning(
            f"Verlopen en nog niet afgesloten: {overdue}. Hun goederen blijven"
            " gereserveerd tot Stripe zegt dat er niet meer betaald kan worden."
        )
    if attention.to_dos:
        waiting = words.counted(attention.to_dos)
        st.warning(f"Te doen: {waiting}. Dit wacht op u.")
        st.page_link("app_pages/to_do.py", label="Naar Te doen")
    if attention.refunds_open:
        under_way = words.counted(attention.refunds_open)
        st.warning(f"Terugbetalingen onderweg: {under_way}; zie Bestellingen.")
    if attention.orders_to_review:
        to_review = words.counted(attention.orders_to_review)
        st.warning(
            f"Bestellingen om na te kijken: {to_review}; er is een ander bedrag"
            " betaald dan gevraagd."
        )
    show_post(attention)


def show_post(attention: Attention) -> None:
    if attention.mails_not_arrived:
        lost = words.counted(attention.mails_not_arrived)
        st.warning(
            f"Post die niet is aangekomen, of misschien niet: {lost}. Op de pagina Post"
            " kunt u die opnieuw sturen."
        )
    if not outbox.can_send(shop_data.config()):
        if attention.mails_unsent:
            unsent = words.counted(attention.mails_unsent)
            st.warning(f"Post die wacht op een mailserver: {unsent}; zie Post.")
    elif attention.mails_refused:
        refused = words.counted(attention.mails_refused)
        st.warning(
            f"Post die nog niet weg kon: {refused}; zie Post. De winkel blijft het"
            " proberen."
        )


def show_totals(totals: Totals) -> None:
    figures = {
        "Beschikbaar": words.number(totals.stock - totals.reserved),
        "Gereserveerd": words.number(totals.reserved),
        "Voorraad": words.number(totals.stock),
        "Lopende afrekeningen": words.counted(totals.open_checkouts),
        "Bestellingen": words.number(totals.orders),
        "Betaald": words.money(totals.paid_cents),
    }
    with st.container(horizontal=True):
        for label, figure in figures.items():
            st.metric(label, figure, border=True, width="content")


def show_chart(levels: Sequence[StockLevel], products: int) -> None:
    if not levels:
        st.info("Er zijn nog geen producten.")
        return
    st.altair_chart(
        stock_chart(levels),
        height=chart_height(levels),
        alt="Per product: gereserveerd en beschikbaar, samen de voorraad",
    )
    if products > len(levels):
        st.caption(
            f"De {len(levels)} van {words.number(products)} producten met de meeste"
            " reserveringen, daarna die met de minste beschikbaar."
        )


def table_of(levels: Sequence[StockLevel]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Product": level.name,
                "SKU": level.sku,
                "Voorraad": level.stock,
                "Gereserveerd": level.reserved,
                "Beschikbaar": level.available,
            }
            for level in levels
        ]
    )


st.title("Overzicht")
glance()
figures()
