"""What a person has to look at, and what somebody has looked at."""

from collections.abc import Sequence

import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard.parts import acting, shop_data
from admin_dashboard.words import (
    entries as entry_words,
)
from admin_dashboard.words import (
    history as history_words,
)
from admin_dashboard.words import (
    orders as words,
)
from core import records
from core.clock import utcnow
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
        entered = shop_data.to_dos(ROWS)
        if not entered:
            st.info("Er is niets te doen.")
        for entry in entered:
            show_open(entry)
        if len(entered) == ROWS:
            st.caption(f"De oudste {ROWS}; daarna komen de andere.")
        show_done(shop_data.to_dos(ROWS, done=True))


def show_open(entry: ToDoView) -> None:
    with st.container(border=True):
        title, explanation = entry_words.words_of(entry)
        st.markdown(f"**{title}**")
        st.markdown(explanation)
        st.caption(entry_words.facts_of(entry))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Afvinken",
                key=f"tick-{entry.id}",
                on_click=tick_off,
                args=(entry.id,),
            )
            show_link(entry)


def show_link(entry: ToDoView) -> None:
    if entry.order_id is not None:
        st.page_link(
            "app_pages/order.py",
            label=f"Naar bestelling {entry.order_id}",
            query_params={"order": str(entry.order_id)},
        )
    elif entry.checkout_id is not None:
        st.page_link(
            "app_pages/order.py",
            label=f"Naar afrekening {entry.checkout_id}",
            query_params={"checkout": str(entry.checkout_id)},
        )


def show_done(done: Sequence[ToDoView]) -> None:
    if not done:
        return
    with st.expander(f"Afgevinkt ({len(done)})"):
        for entry in done:
            ticked = words.moment(entry.done_at) if entry.done_at else ""
            title, _ = entry_words.words_of(entry)
            who = entry.done_by or history_words.SHOP
            by = words.plain(f"afgevinkt op {ticked} door {who}")
            st.markdown(f"{title}  \n{by}")
            st.caption(entry_words.facts_of(entry))
            st.button(
                "Terugzetten",
                key=f"put-back-{entry.id}",
                on_click=put_back,
                args=(entry.id,),
            )


st.title("Te doen")
entries()
