"""The shop's letters: what became of each, and a way to send one again."""

from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage

import pandas as pd
import streamlit as st
from sqlalchemy.orm import Session

from admin_dashboard.parts import acting, shop_data
from admin_dashboard.words.figures import moment, plain
from core.clock import utcnow
from core.mail import outbox
from core.mail.letter import copy_of
from core.models import mail as models
from core.models.mail import READY, SENDING
from core.models.refunds import FAILED, SENT
from core.owner.reports import MailView

ROWS = 100
HOW_TO_SET_UP = (
    "Zo gaat post echt de deur uit: zet **SMTP_URL** op het adres van uw mailserver"
    " (`smtp://naam:wachtwoord@mail.voorbeeld.nl:587`) en **MAIL_FROM** op de"
    " afzender (`Winkel <winkel@voorbeeld.nl>`), en start de winkel opnieuw."
)
KINDS = {
    models.ORDER_MAIL: "Bevestiging van een bestelling",
    models.REFUND_MAIL: "Bericht van een terugbetaling",
    models.OWED_MAIL: "Bericht dat terugbetalen niet lukte",
    models.GONE_MAIL: "Bericht dat de goederen weg waren",
    models.TO_DO_MAIL: "Bericht voor u: iets te doen",
}
STATUSES = {
    READY: "Wacht op verzending",
    SENDING: "Onbekend of hij is aangekomen",
    SENT: "Verstuurd",
    FAILED: "Mislukt",
}
WHAT_WENT_WRONG = {
    SENDING: (
        "De verbinding viel weg op het moment van overhandigen: niemand kan zeggen of"
        " deze brief is aangekomen. Stuurt u hem opnieuw, dan kan de ontvanger hem twee"
        " keer krijgen."
    ),
    FAILED: "Deze brief is niet aangekomen.",
}
SENT_AGAIN = "De brief gaat zo opnieuw de deur uit."
NOT_YET = (
    "Deze brief is al onderweg, of wordt misschien nog verstuurd. Probeer het over"
    " tien minuten nog eens."
)


def show_settings() -> None:
    config = shop_data.config()
    if config.smtp is not None:
        st.caption(plain(f"Afzender: {config.mail_from}"))
    elif outbox.can_send(config):
        st.info(
            "Er is geen mailserver ingesteld. Brieven worden niet verstuurd maar als"
            f" bestand bewaard; hieronder leest u ze. {HOW_TO_SET_UP}"
        )
    else:
        st.warning(
            "Er is geen mailserver ingesteld. Brieven wachten tot dat gebeurt; er gaat"
            f" niets verloren. {HOW_TO_SET_UP}"
        )


@st.fragment(run_every="5s")
@shop_data.told_plainly()
def letters() -> None:
    acting.show_notice()
    mails = shop_data.mails(limit=ROWS)
    if not mails:
        st.info("Er is nog geen post.")
        return
    for each in mails:
        if each.status in WHAT_WENT_WRONG:
            show_troubled(each)
    numbers = shop_data.numbers_of([each.checkout_id for each in mails])
    st.dataframe(table_of(mails, numbers), hide_index=True, alt="Post")
    if len(mails) == ROWS:
        st.caption(f"De nieuwste {ROWS}.")
    if shop_data.config().smtp is None:
        show_text(mails)


def show_troubled(each: MailView) -> None:
    def send_again(session: Session, _owner: str) -> bool:
        return outbox.send_again(session, each.id, now=utcnow())

    with st.container(border=True):
        st.markdown(f"**{plain(label_of(each))}**")
        st.markdown(WHAT_WENT_WRONG[each.status])
        if each.error:
            st.caption(plain(each.error))
        key = f"send-{each.id}"
        acting.button("Opnieuw sturen", key, send_again, SENT_AGAIN, NOT_YET)


def label_of(each: MailView) -> str:
    parts = (moment(each.created_at), KINDS[each.kind], each.recipient)
    return " \N{MIDDLE DOT} ".join(filter(None, parts))


def table_of(mails: Sequence[MailView], numbers: dict[int | None, int]) -> pd.DataFrame:
    is_real = shop_data.config().smtp is not None
    statuses = STATUSES if is_real else STATUSES | {SENT: "Bewaard als bestand"}
    return pd.DataFrame(
        {
            "Geschreven": moment(each.created_at),
            "Wat": KINDS[each.kind],
            "Aan": each.recipient or "de eigenaar",
            "Status": statuses[each.status],
            "Verstuurd": moment(each.sent_at),
            "Pogingen": each.tries,
            "Bestelling": str(numbers.get(each.checkout_id, "")),
            "Fout": each.error,
        }
        for each in mails
    )


def show_text(mails: Sequence[MailView]) -> None:
    """Show the text of a letter that a demo keeps as a file."""
    st.header("Lees een brief")
    chosen = st.selectbox("Brief", mails, format_func=label_of, key="letter")
    try:
        content = copy_of(shop_data.config(), chosen.key).read_bytes()
    except OSError:
        st.info("Van deze brief is (nog) geen bestand.")
        return
    letter = message_from_bytes(content, EmailMessage, policy=policy.default)
    recipient, subject = (plain(letter[name] or "") for name in ("To", "Subject"))
    st.markdown(f"Aan: {recipient}  \nOnderwerp: **{subject}**")
    body = letter.get_body(preferencelist=("plain",))
    st.code(body.get_content() if body else "", language=None, wrap_lines=True)


st.title("Post")
show_settings()
letters()
