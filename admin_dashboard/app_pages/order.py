"""One order: what it was, what became of it, and what the owner can do about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard.parts import acting, order_parts, refund_window, shop_data
from core.clock import utcnow
from core.models.orders import FULFILLED, PAID, REVIEW
from core.orders import orders
from core.orders.views import OrderView, Wanted
from core.owner.case import Case
from core.refunds.views import DisputeView

LONGEST_NUMBER = 18
# A bank may inquire before it claims the money; until then a refund is possible.
ONLY_ASKED = "warning_"
ALREADY = "Dat was al gebeurd, of de bestelling is intussen veranderd."
# What the owner may do with an order by its status, and what they are told then.
ACTIONS: Mapping[str, tuple[str, Callable[..., bool], str]] = {
    PAID: ("Verzonden", orders.fulfil, "staat op verzonden"),
    FULFILLED: ("Verzonden ongedaan maken", orders.unfulfil, "staat weer op betaald"),
    REVIEW: ("Akkoord", orders.accept, "is akkoord"),
}


def asked_for() -> Case | None:
    """Find what the address of the page names: an order, or a checkout without one."""
    finders = {"order": shop_data.case_of_order, "checkout": shop_data.case_of_checkout}
    for name, find in finders.items():
        number = st.query_params.get(name, "").removeprefix("#")
        if number.isascii() and number.isdecimal() and len(number) < LONGEST_NUMBER:
            return find(int(number))
    return None


def show_actions(order: OrderView, disputes: Sequence[DisputeView]) -> None:
    is_claimed = any(
        order_parts.is_open(each) and not each.status.startswith(ONLY_ASKED)
        for each in disputes
        if each.payment_intent == order.payment_intent
    )
    with st.container(horizontal=True):
        show_status_button(order)
        if order.payment_intent and order.left_cents and not is_claimed:
            show_window_button("Terugbetalen", order, with_money=True)
        if any(line.returned < line.quantity for line in order.lines):
            show_window_button("Goederen terugnemen", order, with_money=False)
    if is_claimed:
        st.caption(
            "Terugbetalen kan niet zolang de bank het geld opeist: Stripe weigert dat."
        )


def show_status_button(order: OrderView) -> None:
    if order.status not in ACTIONS:
        return
    label, rule, done = ACTIONS[order.status]
    is_safe = not order.is_disputed and not order.lost_cents
    is_primary = order.status == REVIEW or (order.status == PAID and is_safe)

    def change(session: Session, owner: str) -> bool:
        return rule(session, order.number, who=owner, now=utcnow())

    st.button(
        label,
        type="primary" if is_primary else "secondary",
        on_click=acting.act,
        args=(change, f"Bestelling {order.number} {done}.", ALREADY),
    )


def show_window_button(label: str, order: OrderView, *, with_money: bool) -> None:
    st.button(
        f"{label}\N{HORIZONTAL ELLIPSIS}",
        on_click=refund_window.open_for,
        args=(order, with_money),
    )


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def what_happened(shown: Case) -> None:
    """Refresh by itself, and all of the page when what is *shown* has changed."""
    if found := asked_for():
        # A field that is drawn anew would forget what was typed.
        is_asked = refund_window.is_open_for(found.checkout_id)
        if not is_asked and replace(found, steps=()) != replace(shown, steps=()):
            st.rerun()
        order_parts.show_money(found)
        order_parts.show_history(found)


def show(found: Case | None) -> None:
    if found is None:
        st.title("Bestelling")
        st.info("Deze bestelling is er niet. Kies er een bij Bestellingen.")
        return
    order = found.order
    number = order.number if order else None
    st.title(f"Bestelling {number}" if order else f"Afrekening {found.checkout_id}")
    acting.show_notice()
    if order is None:
        st.info("Uit deze afrekening is geen bestelling ontstaan.")
    order_parts.show_disputes(found.disputes)
    for refund in found.refunds:
        if refund.owed_cents:
            refund_window.show_failed(refund, number)
    if order is None:
        st.header("Klant")
        order_parts.show_lines(found.customer)
        order_parts.show_wanted(found.wanted, "Gevraagd", "Wat de klant wilde kopen")
    else:
        show_actions(order, found.disputes)
        order_parts.show_facts(order)
        bought = Wanted(order.lines, order.promised_currency)
        order_parts.show_wanted(bought, "Gekocht", "Wat er gekocht is")
        order_parts.show_sums(order)
    what_happened(found)
    refund_window.show(order, of_checkout=found.checkout_id)


st.page_link("app_pages/orders.py", label="\N{LEFTWARDS ARROW} Alle bestellingen")
with shop_data.told_plainly():
    show(asked_for())
