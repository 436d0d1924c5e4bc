"""One order: what it was, what became of it, and what the owner can do about it."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard.parts import acting, order_parts, refund_window, shop_data
from core.clock import utcnow
from core.models.orders import FULFILLED, PAID, REVIEW
from core.orders import orders
from core.orders.views import OrderView
from core.owner.case import Case
from core.refunds.views import DisputeView

LONGEST_NUMBER = 18
# Before a bank claims the money it may ask; as long as it only asks, money can go back.
ONLY_ASKED = "warning_"
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


def show_actions(order: OrderView, disputes: Sequence[DisputeView]) -> None:
    is_claimed = any(
        order_parts.is_open(each) and not each.status.startswith(ONLY_ASKED)
        for each in disputes
        if each.payment_intent == order.payment_intent
    )
    with st.container(horizontal=True):
        if order.status == PAID:
            is_safe = not order.is_disputed and not order.lost_cents
            st.button(
                "Verzonden",
                type="primary" if is_safe else "secondary",
                on_click=fulfil,
                args=(order.number,),
            )
        if order.status == FULFILLED:
            st.button(
                "Verzonden ongedaan maken", on_click=unfulfil, args=(order.number,)
            )
        if order.status == REVIEW:
            st.button("Akkoord", type="primary", on_click=accept, args=(order.number,))
        if order.payment_intent and order.left_cents and not is_claimed:
            st.button(
                "Terugbetalen\N{HORIZONTAL ELLIPSIS}",
                on_click=refund_window.open_for,
                args=(order,),
                kwargs={"with_money": True},
            )
        if any(line.returned < line.quantity for line in order.lines):
            st.button(
                "Goederen terugnemen\N{HORIZONTAL ELLIPSIS}",
                on_click=refund_window.open_for,
                args=(order,),
                kwargs={"with_money": False},
            )
    if is_claimed:
        st.caption(
            "Terugbetalen kan niet zolang de bank het geld opeist: Stripe weigert dat."
        )


@st.fragment(run_every="5s")
def what_happened(shown: Case) -> None:
    """Refresh by itself, and all of the page when what is *shown* has changed."""
    with shop_data.told_plainly():
        if found := asked_for():
            # A field that is drawn anew would forget what was typed.
            is_asked = refund_window.is_open_for(found.checkout_id)
            if not is_asked and replace(found, steps=()) != replace(shown, steps=()):
                st.rerun()
            order_parts.show_money(found)
            order_parts.show_history(found)


def show(found: Case | None) -> None:
    order = found.order if found else None
    if found is None:
        st.title("Bestelling")
        st.info("Deze bestelling is er niet. Kies er een bij Bestellingen.")
        return
    if order is None:
        st.title(f"Afrekening {found.checkout_id}")
        acting.show_notice()
        st.info("Uit deze afrekening is geen bestelling ontstaan.")
        order_parts.show_disputes(found.disputes)
        show_owed(found)
        st.header("Klant")
        order_parts.show_lines(found.customer)
        order_parts.show_lines_of(
            found.wanted.lines,
            found.wanted.currency,
            title="Gevraagd",
            alt="Wat de klant wilde kopen",
        )
    else:
        st.title(f"Bestelling {order.number}")
        acting.show_notice()
        order_parts.show_disputes(found.disputes)
        show_owed(found)
        show_actions(order, found.disputes)
        order_parts.show_facts(order)
        order_parts.show_lines_of(
            order.lines,
            order.promised_currency,
            title="Gekocht",
            alt="Wat er gekocht is",
        )
        order_parts.show_sums(order)
    what_happened(found)
    refund_window.show(order, of_checkout=found.checkout_id)


def show_owed(found: Case) -> None:
    for refund in found.refunds:
        if refund.owed_cents:
            refund_window.offer_again(
                refund, found.order.number if found.order else None
            )


st.page_link("app_pages/orders.py", label="\N{LEFTWARDS ARROW} Alle bestellingen")
with shop_data.told_plainly():
    show(asked_for())
