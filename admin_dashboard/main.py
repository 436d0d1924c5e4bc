"""The frame around the pages: navigation and logging out."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

st.set_page_config(
    page_title="Voorraad",
    page_icon=str(HERE / "static" / "favicon.png"),
    layout="wide",
)
page = st.navigation(
    [
        st.Page("app_pages/overview.py", title="Overzicht", default=True),
        st.Page("app_pages/to_do.py", title="Te doen"),
        st.Page("app_pages/reservations.py", title="Reserveringen"),
        st.Page("app_pages/orders.py", title="Bestellingen"),
        st.Page("app_pages/order.py", title="Bestelling", visibility="hidden"),
        st.Page("app_pages/letters.py", title="Post"),
    ]
)
st.logo(str(HERE / "static" / "wordmark.svg"), size="large")
# A Markdown link would open another tab.
st.sidebar.markdown(
    '<a href="/logout" target="_self">Uitloggen</a>', unsafe_allow_html=True
)
page.run()
