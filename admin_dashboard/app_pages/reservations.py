"""Who holds what, and for how long still."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from admin_dashboard.parts import shop_data
from admin_dashboard.words import orders as words
from core.clock import utcnow
from core.owner.reports import OpenReservation

ROWS = 200


@st.fragment(run_every="2s")
def open_now() -> None:
    with shop_data.told_plainly():
        reservations = shop_data.open_reservations(ROWS)
        if not reservations:
            st.info("Er is nu niets gereserveerd: alle voorraad is beschikbaar.")
            return
        units = sum(reservation.quantity for reservation in reservations)
        st.markdown(f"**{words.number(units)}** gereserveerd.")
        # A table of text, not a canvas: it is short, and read by everybody's browser.
        st.table(
            table_of(reservations, utcnow()),
            border="horizontal",
            hide_index=True,
            alt="Lopende reserveringen",
        )
        if len(reservations) == ROWS:
            st.caption(f"De eerste {ROWS} die aflopen.")


def table_of(reservations: Sequence[OpenReservation], now: datetime) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Product": words.plain(reservation.product_name),
                "Aantal": reservation.quantity,
                "Nog": words.time_left(reservation, now),
                "Bedrag": words.money(
                    reservation.quantity * reservation.unit_price_cents,
                    reservation.currency,
                ),
                "Sinds": words.short_moment(reservation.created_at),
                "Tot": words.short_moment(reservation.expires_at),
                "Afrekening": reservation.checkout_id,
            }
            for reservation in reservations
        ]
    )


st.title("Reserveringen")
st.caption("Wat klanten nu aan het afrekenen zijn. Deze pagina ververst zichzelf.")
open_now()
