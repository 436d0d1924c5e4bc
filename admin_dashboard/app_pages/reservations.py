"""What is reserved now, and for how much longer."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard.parts import acting, shop_data
from admin_dashboard.words.figures import SHORT, moment, money, number, plain
from core.clock import utcnow
from core.models.limits import NETWORK, SHARE, UNPAID, VISITOR
from core.owner import networks
from core.owner.networks import NetworkHold, Refused
from core.owner.reports import OpenReservation

ROWS = 200
LET_GO = (
    "Vrijgegeven. Zodra Stripe de betaalpagina's heeft gesloten, is de voorraad vrij."
)
GONE = "Er was niets meer om vrij te geven: er is betaald, of de tijd was om."
REASONS = {
    VISITOR: "betalingen nog onderweg",
    NETWORK: "te veel afrekeningen tegelijk",
    SHARE: "te veel stuks van één product",
    UNPAID: "te vaak niet betaald",
}


@st.fragment(run_every="2s")
@shop_data.told_plainly()
def open_now() -> None:
    reservations = shop_data.open_reservations(limit=ROWS)
    if not reservations:
        st.info("Er is nu niets gereserveerd: alle voorraad is beschikbaar.")
        return
    units = sum(each.quantity for each in reservations)
    st.markdown(f"**{number(units)}** gereserveerd.")
    # A short table of text, which screen readers read better than a canvas.
    table, alt = table_of(reservations, utcnow()), "Lopende reserveringen"
    st.table(table, border="horizontal", hide_index=True, alt=alt)
    if len(reservations) == ROWS:
        st.caption(f"De eerste {ROWS} die aflopen.")


def table_of(reservations: Sequence[OpenReservation], now: datetime) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Product": plain(each.product_name),
            "Aantal": each.quantity,
            "Nog": time_left(each, now),
            "Bedrag": money(each.quantity * each.unit_price_cents, each.currency),
            "Sinds": moment(each.created_at, SHORT),
            "Tot": moment(each.expires_at, SHORT),
            "Afrekening": each.checkout_id,
        }
        for each in reservations
    )


def time_left(reservation: OpenReservation, now: datetime) -> str:
    if reservation.awaits_payment:
        return "wacht op betaling"
    if reservation.expires_at <= now:
        return "verlopen, wordt afgesloten"
    left = int((reservation.expires_at - now).total_seconds())
    return f"{left // 60:02}:{left % 60:02}"


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def networks_now() -> None:
    acting.show_notice()
    held, refused = shop_data.held_by_network(), shop_data.refused()
    if held or refused:
        st.subheader("Per internetadres")
        st.caption(
            "Een gezin, een kantoor of een school kan één internetadres delen. Wie te"
            " veel tegelijk vasthoudt, wordt door de winkel vanzelf geweigerd."
        )
    for each in held:
        show_held(each)
    if refused:
        alt = "Geweigerd in de afgelopen 24 uur"
        st.markdown(f"**{alt}**")
        st.table(refused_table(refused), border="horizontal", hide_index=True, alt=alt)


def show_held(held: NetworkHold) -> None:
    def let_go(session: Session, owner: str) -> bool:
        return networks.let_go(session, held, who=owner, now=utcnow())

    with st.container(border=True):
        st.markdown(
            f"**{plain(place(held.network))}** houdt **{number(held.units)}** van de"
            f" {number(held.stock)} stuks {plain(held.product_name)} vast, in"
            f" {number(held.checkouts)} afrekeningen."
        )
        key = f"let-go-{held.network}-{held.product_id}"
        if st.checkbox("Deze klanten mogen hun plek kwijt", key=f"sure-{key}"):
            acting.button("Vrijgeven", key, let_go, LET_GO, GONE)


def refused_table(refused: Sequence[Refused]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Internetadres": plain(place(each.network)),
            "Waarom": REASONS[each.reason],
            "Keer": each.times,
            "Laatst": moment(each.last_at, SHORT),
        }
        for each in refused
    )


def place(network: str) -> str:
    """Return a network as an owner knows it: a single address without its /32."""
    return network.removesuffix("/32")


st.title("Reserveringen")
st.caption("Wat klanten nu aan het afrekenen zijn. Deze pagina ververst zichzelf.")
open_now()
networks_now()
