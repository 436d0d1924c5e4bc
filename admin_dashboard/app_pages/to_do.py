"""The entries that a person has to look at, and those that are done."""

import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard.parts import acting, shop_data
from admin_dashboard.words.figures import LOCALE, moment, money, plain
from admin_dashboard.words.history import SHOP
from core import records
from core.clock import utcnow
from core.models.refunds import DISPUTE_OVER
from core.owner.to_do_words import words_of
from core.owner.to_dos import ToDoView

ROWS = 50
ALREADY = "Dat was al zo."


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def entries() -> None:
    acting.show_notice()
    entered = shop_data.to_dos(limit=ROWS)
    if not entered:
        st.info("Er is niets te doen.")
    for entry in entered:
        show_open(entry)
    if len(entered) == ROWS:
        st.caption(f"De oudste {ROWS}; daarna komen de andere.")
    if done := shop_data.to_dos(limit=ROWS, done=True):
        with st.expander(f"Afgevinkt ({len(done)})"):
            for entry in done:
                show_done(entry)


def show_open(entry: ToDoView) -> None:
    def tick_off(session: Session, owner: str) -> bool:
        return records.tick_off(session, entry.id, who=owner, now=utcnow())

    with st.container(border=True):
        title, explanation = words_of(entry, LOCALE)
        st.markdown(f"**{title}**")
        st.markdown(explanation)
        st.caption(facts_of(entry))
        with st.container(horizontal=True, vertical_alignment="center"):
            done = "Afgevinkt; hieronder kunt u het terugzetten."
            acting.button("Afvinken", f"tick-{entry.id}", tick_off, done, ALREADY)
            show_link(entry)


def facts_of(entry: ToDoView) -> str:
    """Return when, who, how much and Stripe's ids, on one line."""
    facts = [moment(entry.created_at), entry.customer]
    if entry.amount_cents:
        facts.append(money(entry.amount_cents, entry.currency))
    dispute = entry.dispute
    if dispute is not None and dispute.due_by and dispute.status not in DISPUTE_OVER:
        facts.append(f"antwoord voor {moment(dispute.due_by)}")
    ids = dict.fromkeys((entry.stripe_id, entry.payment_intent))
    return plain(" \N{MIDDLE DOT} ".join(filter(None, [*facts, *ids])))


def show_link(entry: ToDoView) -> None:
    for what, name, number in (
        ("bestelling", "order", entry.order_id),
        ("afrekening", "checkout", entry.checkout_id),
    ):
        if number is not None:
            st.page_link(
                "app_pages/order.py",
                label=f"Naar {what} {number}",
                query_params={name: str(number)},
            )
            return


def show_done(entry: ToDoView) -> None:
    def put_back(session: Session, _owner: str) -> bool:
        return records.untick(session, entry.id)

    title, _ = words_of(entry, LOCALE)
    by = f"afgevinkt op {moment(entry.done_at)} door {entry.done_by or SHOP}"
    st.markdown(f"{title}  \n{plain(by)}")
    st.caption(facts_of(entry))
    done = "Het staat weer op de lijst."
    acting.button("Terugzetten", f"put-back-{entry.id}", put_back, done, ALREADY)


st.title("Te doen")
entries()
