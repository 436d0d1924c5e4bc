"""What is reserved now, and for how much longer."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from admin_dashboard.parts import shop_data
from admin_dashboard.words.figures import SHORT, moment, money, number, plain
from core.clock import utcnow
from core.owner.reports import OpenReservation

ROWS = 200


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


st.title("Reserveringen")
st.caption("Wat klanten nu aan het afrekenen zijn. Deze pagina ververst zichzelf.")
open_now()
