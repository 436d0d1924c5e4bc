"""One order: what it was, what became of it, and what the owner can do about it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard import (
    acting,
    history_words,
    money_tables,
    refund_window,
    shop_data,
    words,
)
from admin_dashboard.columns import MONEY_COLUMNS
from admin_dashboard.export import csv_of
from core import orders
from core.case import Case
from core.clock import utcnow
from core.models import FULFILLED, PAID, REVIEW
from core.order_views import OrderView
from core.reports import DisputeView

LONGEST_NUMBER = 18
# Disputes that took nothing, or no more.
KEPT = ("won", "prevented", "warning_closed")
ALREADY = "Dat was al gebeurd, of de bestelling is intussen veranderd."


def asked_for() -> Case | None:
    """Find what the address of the page names: an order, or a checkout without one."""
    for name, find in (
        ("order", shop_data.case_of_order),
        ("checkout", shop_data.case_of_checkout),
    ):
        number = st.query_params.get(name, "").removeprefix("#")
        if number.isascii() and number.isdecimal() and len(number) < LONGEST_NUMBER:
            return find(int(number))
    return None


def fulfil(number: int) -> None:
    def work(session: Session, owner: str) -> bool:
        return orders.fulfil(session, number, who=owner, now=utcnow())

    acting.act(work, f"Bestelling {number} staat op verzonden.", ALREADY)


def unfulfil(number: int) -> None:
    def work(session: Session, owner: str) -> bool:
        return orders.unfulfil(session, number, who=owner, now=utcnow())

    acting.act(work, f"Bestelling {number} staat weer op betaald.", ALREADY)


def accept(number: int) -> None:
    def work(session: Session, owner: str) -> bool:
        return orders.accept(session, number, who=owner, now=utcnow())

    acting.act(work, f"Bestelling {number} is akkoord.", ALREADY)


def show_actions(order: OrderView) -> None:
    with st.container(horizontal=True):
        if order.status == PAID:
            st.button(
                "Verzonden", type="primary", on_click=fulfil, args=(order.number,)
            )
        if order.status == FULFILLED:
            st.button(
                "Verzonden ongedaan maken", on_click=unfulfil, args=(order.number,)
            )
        if order.status == REVIEW:
            st.button("Akkoord", type="primary", on_click=accept, args=(order.number,))
        if order.payment_intent and order.refunded_cents < order.amount_cents:
            st.button(
                "Terugbetalen\N{HORIZONTAL ELLIPSIS}",
                on_click=refund_window.open_for,
                args=(order.number,),
                kwargs={"with_money": True},
            )
        if any(line.returned < line.quantity for line in order.lines):
            st.button(
                "Goederen terugnemen\N{HORIZONTAL ELLIPSIS}",
                on_click=refund_window.open_for,
                args=(order.number,),
                kwargs={"with_money": False},
            )


def show_facts(order: OrderView) -> None:
    st.markdown(f"**{words.ORDER_STATUSES[order.status]}**, {words.since(order)}")
    if told := words.note(order):
        st.warning(f"{words.plain(told[:1].upper() + told[1:])}.")
    customer, address = st.columns(2)
    with customer:
        st.subheader("Klant")
        show_lines(order.customer_name, order.customer_email, order.customer_phone)
    with address:
        st.subheader("Adres")
        show_lines(*words.address_of(order).split("\n"))


def show_disputes(disputes: Sequence[DisputeView]) -> None:
    """Warn on top: a disputed payment may be lost, and so would goods sent now."""
    for dispute in disputes:
        if dispute.status not in KEPT:
            amount = words.money(dispute.amount_cents, dispute.currency)
            st.error(
                f"Betwiste betaling van {amount}: {words.dispute_reason(dispute)}."
                f" {words.dispute_status(dispute)}."
            )


def show_lines(*lines: str) -> None:
    told = [words.plain(line) for line in lines if line]
    st.markdown("  \n".join(told) or "niet gevraagd")


def show_goods(order: OrderView) -> None:
    st.subheader("Gekocht")
    lines = pd.DataFrame(
        [
            {
                "Product": words.plain(line.name),
                "Aantal": line.quantity,
                "Prijs": words.money(line.unit_price_cents, order.currency),
                "Bedrag": words.money(line.total_cents, order.currency),
                "Terug": line.returned,
            }
            for line in order.lines
        ]
    )
    st.table(
        lines if any(lines["Terug"]) else lines.drop(columns="Terug"),
        border="horizontal",
        hide_index=True,
        alt="Wat er gekocht is",
    )
    st.table(
        pd.DataFrame(words.sums_of(order), columns=["", "Bedrag"]),
        border="horizontal",
        hide_index=True,
        hide_header=True,
        width="content",
        alt="Het bedrag van de bestelling",
    )


def show_money(found: Case) -> None:
    if found.refunds:
        st.subheader("Terugbetalingen")
        st.dataframe(
            money_tables.of_refunds(found.refunds, {}).drop(columns="Bestelling"),
            hide_index=True,
            column_config=MONEY_COLUMNS,
            alt="Terugbetalingen",
        )
    if found.disputes:
        st.subheader("Betwiste betalingen")
        st.dataframe(
            money_tables.of_disputes(found.disputes, {}).drop(columns="Bestelling"),
            hide_index=True,
            column_config=MONEY_COLUMNS,
            alt="Betwiste betalingen",
        )


def show_history(found: Case) -> None:
    st.subheader("Wat er gebeurd is")
    table = history_of(found)
    st.dataframe(table, hide_index=True, column_config=MONEY_COLUMNS, alt="Verloop")
    st.download_button(
        "Exporteer als CSV",
        csv_of(table),
        file_name=f"verloop-{found.checkout_id}.csv",
        mime="text/csv",
        on_click="ignore",
    )


def history_of(found: Case) -> pd.DataFrame:
    order = found.order
    products = {line.product_id: line.name for line in order.lines} if order else {}
    currency = order.currency if order else "eur"
    return pd.DataFrame(
        [
            {
                "Wanneer": words.exact_moment(step.at),
                "Wat": history_words.what_of(step),
                "Waarom": history_words.cause_of(step, products),
                "Wie": history_words.who_of(step),
                "Bedrag": ""
                if step.amount_cents is None
                else words.money(step.amount_cents, currency),
                "Bij Stripe": step.stripe_id,
            }
            for step in found.steps
        ]
    )


@st.fragment(run_every="5s")
def what_happened() -> None:
    """Refresh by itself: a refund is on its way for some seconds, or for days."""
    with shop_data.told_plainly():
        if found := asked_for():
            show_money(found)
            show_history(found)


def show(found: Case | None) -> None:
    order = found.order if found else None
    if found is None:
        st.title("Bestelling")
        st.info("Deze bestelling is er niet. Kies er een bij Bestellingen.")
        return
    if order is None:
        st.title(f"Afrekening {found.checkout_id}")
        st.info("Uit deze afrekening is geen bestelling ontstaan.")
    else:
        st.title(f"Bestelling {order.number}")
        acting.show_notice()
        show_disputes(found.disputes)
        show_actions(order)
        show_facts(order)
        show_goods(order)
    what_happened()
    if order is not None:
        refund_window.show(order)


st.page_link("app_pages/orders.py", label="\N{LEFTWARDS ARROW} Alle bestellingen")
with shop_data.told_plainly():
    show(asked_for())
