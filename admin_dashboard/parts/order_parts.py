"""The parts of an order's page that only show."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from admin_dashboard.tables import columns, export
from admin_dashboard.tables import money as money_tables
from admin_dashboard.words import history
from admin_dashboard.words import orders as words
from admin_dashboard.words.figures import LOCALE, TO_THE_SECOND, moment, money, plain
from admin_dashboard.words.refunds import dispute_reason, dispute_status
from core import formats
from core.models.refunds import DISPUTE_LOST, DISPUTE_OVER
from core.orders.views import OrderView, Wanted
from core.owner.case import Case
from core.refunds.views import DisputeView


def is_open(dispute: DisputeView) -> bool:
    return dispute.status not in DISPUTE_OVER


def show_disputes(disputes: Sequence[DisputeView]) -> None:
    """Warn on top: a disputed payment may be lost, and so would goods sent now."""
    for dispute in disputes:
        if is_open(dispute) or dispute.status == DISPUTE_LOST:
            until = moment(dispute.due_by) if is_open(dispute) else ""
            answer = f" Antwoord bij Stripe voor {until}." if until else ""
            st.error(
                f"Betwiste betaling van {money(dispute.amount_cents, dispute.currency)}"
                f": {dispute_reason(dispute)}. {dispute_status(dispute)}.{answer}"
            )


def show_facts(order: OrderView) -> None:
    st.markdown(f"**{words.status_of(order)}**, {words.since(order)}")
    if told := words.note(order):
        st.warning(f"{plain(told[:1].upper() + told[1:])}.")
    left, right = st.columns(2)
    with left:
        st.header("Klant")
        show_lines(order.customer_name, order.customer_email, order.customer_phone)
    with right:
        st.header("Adres")
        name, address = order.shipping_name, order.shipping_address
        show_lines(*formats.address_lines(name, address, LOCALE))


def show_lines(*lines: str) -> None:
    st.markdown("  \n".join(map(plain, filter(None, lines))) or "niet gevraagd")


def show_wanted(wanted: Wanted, title: str, alt: str) -> None:
    st.header(title)
    table = pd.DataFrame(
        {
            "Product": plain(line.name),
            "Aantal": line.quantity,
            "Prijs": line.unit_price_cents,
            "Bedrag": line.total_cents,
            "Terug": line.returned,
        }
        for line in wanted.lines
    )
    if not any(table["Terug"]):
        table = table.drop(columns="Terug")
    currencies = [wanted.currency] * len(wanted.lines)
    table = columns.with_amounts(table, ["Prijs", "Bedrag"], currencies)
    st.table(table, border="horizontal", hide_index=True, alt=alt)


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
    order = found.order
    products = {line.product_id: line.name for line in order.lines} if order else {}
    currency = order.currency if order else found.wanted.currency
    table = pd.DataFrame(
        {
            "Wanneer": moment(step.at, TO_THE_SECOND),
            "Wat": history.what_of(step),
            "Waarom": history.cause_of(step, products),
            "Wie": history.who_of(step),
            "Bedrag": ""
            if step.amount_cents is None
            else money(step.amount_cents, currency),
            "Bij Stripe": step.stripe_id,
        }
        for step in found.steps
    )
    columns.show(table, "Verloop")
    export.show_button(lambda: table, f"verloop-{found.checkout_id}.csv")
