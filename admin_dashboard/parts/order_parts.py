"""The parts of an order's page that only show."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from admin_dashboard.tables import columns, export
from admin_dashboard.tables import money as money_tables
from admin_dashboard.words import history
from admin_dashboard.words import orders as words
from admin_dashboard.words.figures import exact_moment, moment, money, plain
from admin_dashboard.words.refunds import dispute_reason, dispute_status
from core.models.refunds import DISPUTE_LOST, DISPUTE_OVER
from core.orders.views import OrderLineView, OrderView
from core.owner.case import Case
from core.refunds.views import DisputeView


def is_open(dispute: DisputeView) -> bool:
    return dispute.status not in DISPUTE_OVER


def show_disputes(disputes: Sequence[DisputeView]) -> None:
    """Warn on top: a disputed payment may be lost, and so would goods sent now."""
    for dispute in disputes:
        if is_open(dispute) or dispute.status == DISPUTE_LOST:
            until = ""
            if is_open(dispute) and dispute.due_by:
                until = f" Antwoord bij Stripe voor {moment(dispute.due_by)}."
            st.error(
                f"Betwiste betaling van {money(dispute.amount_cents, dispute.currency)}"
                f": {dispute_reason(dispute)}. {dispute_status(dispute)}.{until}"
            )


def show_facts(order: OrderView) -> None:
    st.markdown(f"**{words.status_of(order)}**, {words.since(order)}")
    if told := words.note(order):
        st.warning(f"{plain(told[:1].upper() + told[1:])}.")
    customer, address = st.columns(2)
    with customer:
        st.header("Klant")
        show_lines(order.customer_name, order.customer_email, order.customer_phone)
    with address:
        st.header("Adres")
        show_lines(*words.address_of(order))


def show_lines(*lines: str) -> None:
    told = [plain(line) for line in lines if line]
    st.markdown("  \n".join(told) or "niet gevraagd")


def show_lines_of(
    lines: Sequence[OrderLineView], currency: str, *, title: str, alt: str
) -> None:
    st.header(title)
    table = pd.DataFrame(
        [
            {
                "Product": plain(line.name),
                "Aantal": line.quantity,
                "Prijs": line.unit_price_cents,
                "Bedrag": line.total_cents,
                "Terug": line.returned,
            }
            for line in lines
        ]
    )
    if not any(table["Terug"]):
        table = table.drop(columns="Terug")
    st.table(
        columns.with_amounts(table, ["Prijs", "Bedrag"], [currency] * len(lines)),
        border="horizontal",
        hide_index=True,
        alt=alt,
    )


def show_sums(order: OrderView) -> None:
    whats, cents, currencies = zip(*words.sums_of(order), strict=True)
    table = pd.DataFrame({"": whats, "Bedrag": cents})
    st.table(
        columns.with_amounts(table, ["Bedrag"], currencies),
        border="horizontal",
        hide_index=True,
        hide_header=True,
        width="content",
        alt="Het bedrag van de bestelling",
    )


def show_money(found: Case) -> None:
    if found.refunds:
        st.header("Terugbetalingen")
        if found.order and any(each.order_id is None for each in found.refunds):
            st.caption(
                "Een tweede betaling van dezelfde winkelwagen telt niet mee in het"
                " bedrag van de bestelling, en de terugbetaling ervan dus ook niet."
            )
        refunds = money_tables.of_refunds(found.refunds, {})
        columns.show(refunds.drop(columns="Bestelling"), "Terugbetalingen")
    if found.disputes:
        st.header("Betwiste betalingen")
        disputes = money_tables.of_disputes(found.disputes, {})
        columns.show(disputes.drop(columns="Bestelling"), "Betwiste betalingen")


def show_history(found: Case) -> None:
    st.header("Wat er gebeurd is")
    table = history_of(found)
    columns.show(table, "Verloop")
    export.show_button(lambda: table, f"verloop-{found.checkout_id}.csv")


def history_of(found: Case) -> pd.DataFrame:
    order = found.order
    products = {line.product_id: line.name for line in order.lines} if order else {}
    currency = order.currency if order else found.wanted.currency
    return pd.DataFrame(
        [
            {
                "Wanneer": exact_moment(step.at),
                "Wat": history.what_of(step),
                "Waarom": history.cause_of(step, products),
                "Wie": history.who_of(step),
                "Bedrag": ""
                if step.amount_cents is None
                else money(step.amount_cents, currency),
                "Bij Stripe": step.stripe_id,
            }
            for step in found.steps
        ]
    )
