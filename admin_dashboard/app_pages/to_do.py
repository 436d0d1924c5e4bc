"""The entries that a person has to look at, and those that are done."""

from collections.abc import Sequence

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


def tick_off(to_do_id: int) -> None:
    def work(session: Session, owner: str) -> bool:
        return records.tick_off(session, to_do_id, who=owner, now=utcnow())

    acting.act(work, "Afgevinkt; hieronder kunt u het terugzetten.", "Dat was al zo.")


def put_back(to_do_id: int) -> None:
    def work(session: Session, _owner: str) -> bool:
        return records.untick(session, to_do_id)

    acting.act(work, "Het staat weer op de lijst.", "Dat was al zo.")


@st.fragment(run_every="5s")
def entries() -> None:
    acting.show_notice()
    with shop_data.told_plainly():
        entered = shop_data.to_dos(limit=ROWS)
        if not entered:
            st.info("Er is niets te doen.")
        for entry in entered:
            show_open(entry)
        if len(entered) == ROWS:
            st.caption(f"De oudste {ROWS}; daarna komen de andere.")
        show_done(shop_data.to_dos(limit=ROWS, done=True))


def show_open(entry: ToDoView) -> None:
    with st.container(border=True):
        title, explanation = words_of(entry, LOCALE)
        st.markdown(f"**{title}**")
        st.markdown(explanation)
        st.caption(facts_of(entry))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Afvinken",
                key=f"tick-{entry.id}",
                on_click=tick_off,
                args=(entry.id,),
            )
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


def show_done(done: Sequence[ToDoView]) -> None:
    if not done:
        return
    with st.expander(f"Afgevinkt ({len(done)})"):
        for entry in done:
            ticked = moment(entry.done_at) if entry.done_at else ""
            title, _ = words_of(entry, LOCALE)
            who = entry.done_by or SHOP
            by = plain(f"afgevinkt op {ticked} door {who}")
            st.markdown(f"{title}  \n{by}")
            st.caption(facts_of(entry))
            st.button(
                "Terugzetten",
                key=f"put-back-{entry.id}",
                on_click=put_back,
                args=(entry.id,),
            )


st.title("Te doen")
entries()
