"""What there is, what of it is reserved, and what needs a look."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from admin_dashboard.parts import shop_data
from admin_dashboard.tables import export
from admin_dashboard.tables.stock_chart import chart_height, stock_chart
from admin_dashboard.words.figures import counted, money, number
from core.mail import outbox
from core.owner.reports import Attention, StockLevel, Totals

BARS = 30
ROWS = 500
EXPORT_ROWS = 50_000
# By the name of the count in Totals or Attention.
WARNINGS = {
    "overdue_checkouts": (
        "Verlopen en nog niet afgesloten: {}. Hun goederen blijven gereserveerd tot"
        " Stripe zegt dat er niet meer betaald kan worden."
    ),
    "to_dos": "Te doen: {}. Dit wacht op u.",
    "refunds_open": "Terugbetalingen onderweg: {}; zie Bestellingen.",
    "orders_to_review": (
        "Bestellingen om na te kijken: {}; er is een ander bedrag betaald dan gevraagd."
    ),
    "mails_not_arrived": (
        "Post die niet is aangekomen, of misschien niet: {}. Op de pagina Post kunt u"
        " die opnieuw sturen."
    ),
    "mails_refused": (
        "Post die nog niet weg kon: {}; zie Post. De winkel blijft het proberen."
    ),
    "mails_unsent": "Post die wacht op een mailserver: {}; zie Post.",
}


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def glance() -> None:
    totals = shop_data.totals()
    show_warnings(totals, shop_data.attention())
    metrics = {
        "Beschikbaar": number(totals.stock - totals.reserved),
        "Gereserveerd": number(totals.reserved),
        "Voorraad": number(totals.stock),
        "Lopende afrekeningen": counted(totals.open_checkouts),
        "Bestellingen": number(totals.orders),
        "Betaald": money(totals.paid_cents),
    }
    with st.container(horizontal=True):
        for label, value in metrics.items():
            st.metric(label, value, border=True, width="content")
    st.header("Voorraad en reserveringen")
    show_chart(shop_data.stock_levels(limit=BARS), totals.products)


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def figures() -> None:
    st.header("De cijfers")
    text = st.text_input(
        "Zoek een product", key="product", placeholder="naam of SKU"
    ).strip()
    levels = shop_data.stock_levels(text=text, limit=ROWS)
    if not levels:
        st.info("Geen product gevonden." if text else "Er zijn nog geen producten.")
        return
    st.dataframe(table_of(levels), hide_index=True, alt="Voorraad per product")
    if len(levels) == ROWS:
        st.caption(f"De eerste {ROWS}; zoek om de andere te zien.")
    export.show_button(
        lambda: table_of(shop_data.stock_levels(text=text, limit=EXPORT_ROWS)),
        "voorraad.csv",
    )


def show_warnings(totals: Totals, attention: Attention) -> None:
    counts = vars(totals) | vars(attention)
    # Without a mail server all letters wait; with one only those refused need a look.
    can_send = outbox.can_send(shop_data.config())
    counts["mails_unsent" if can_send else "mails_refused"] = 0
    for name, sentence in WARNINGS.items():
        if counts[name]:
            st.warning(sentence.format(counted(counts[name])))
            if name == "to_dos":
                st.page_link("app_pages/to_do.py", label="Naar Te doen")


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
            f"De {len(levels)} van {number(products)} producten met de meeste"
            " reserveringen, daarna die met de minste beschikbaar."
        )


def table_of(levels: Sequence[StockLevel]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Product": level.name,
            "SKU": level.sku,
            "Voorraad": level.stock,
            "Gereserveerd": level.reserved,
            "Beschikbaar": level.available,
        }
        for level in levels
    )


st.title("Overzicht")
glance()
figures()
