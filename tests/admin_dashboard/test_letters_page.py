"""The letters: what became of them, their words in a demo, and sending them again."""

from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import update

from core.clock import utcnow
from core.database.engine import Database
from core.models.mail import READY, SENDING, Mail
from core.models.refunds import FAILED, SENT
from core.owner import reports
from core.owner.reports import MailView
from tests.admin_dashboard import situations
from tests.admin_dashboard.page import infos, labels, opened, press, rows, texts
from tests.factories import add_product

pytestmark = pytest.mark.usefixtures("owner")


def written(database: Database, status: str, **values: object) -> MailView:
    """Sell something; its letter has this status."""
    mug = add_product(database, price_cents=1000)
    situations.sold(database, {mug: 1}, amount_cents=1000)
    database.write(
        lambda session: session.execute(update(Mail).values(status=status, **values))
    )
    return letter(database)


def letter(database: Database) -> MailView:
    with database.read() as session:
        [found] = reports.mails(session)
    return found


def test_a_shop_without_letters_says_so_and_how_to_have_them_sent():
    page = opened("letters")

    assert "Er is nog geen post." in infos(page)
    assert "**SMTP_URL**" in infos(page)[0]
    assert "**MAIL_FROM**" in infos(page)[0]


def test_a_shop_with_a_mail_server_names_the_sender(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMTP_URL", "smtp://mail.example.com:587")
    monkeypatch.setenv("MAIL_FROM", "Winkel <winkel@example.com>")
    st.cache_resource.clear()

    page = opened("letters")

    assert r"winkel\@example\.com" in texts(page)
    assert "SMTP_URL" not in texts(page)


def test_a_letter_is_listed_with_whom_it_went_to(database: Database):
    written(database, SENT, tries=1, sent_at=utcnow())

    [row] = rows(opened("letters"))

    assert (row["Aan"], row["Status"], row["Pogingen"], row["Bestelling"]) == (
        "klant@example.com",
        "Bewaard als bestand",
        1,
        "1",
    )


def test_a_failed_letter_tells_why_and_is_sent_again(database: Database):
    written(database, FAILED, tries=3, error="550 no such user")
    page = opened("letters")
    told = texts(page)

    press(page, "Opnieuw sturen")

    assert "550 no such user" in told
    assert letter(database).status == READY
    assert labels(page) == []


def test_a_letter_of_which_nobody_knows_is_sent_again_only_by_the_owner(
    database: Database,
):
    written(database, SENDING, due_at=utcnow() - timedelta(minutes=1))
    page = opened("letters")
    told = texts(page)

    press(page, "Opnieuw sturen")

    assert "niemand kan zeggen of deze brief is aangekomen" in told
    assert letter(database).status == READY


def test_a_letter_that_is_being_sent_is_left_alone(database: Database):
    written(database, SENDING, due_at=utcnow() + timedelta(minutes=1))

    page = press(opened("letters"), "Opnieuw sturen")

    assert letter(database).status == SENDING
    assert "misschien nog verstuurd" in page.warning[0].value


def test_a_demo_shows_the_words_of_a_letter(database: Database, tmp_path: Path):
    kept = written(database, SENT, sent_at=utcnow())
    made = EmailMessage()
    made["To"], made["Subject"] = "klant@example.com", "Uw bestelling"
    made.set_content("Dank u wel, één kop komt eraan.")
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / f"{kept.key}.eml").write_bytes(made.as_bytes())

    page = opened("letters")

    assert "Onderwerp: **Uw bestelling**" in texts(page)
    assert [code.value for code in page.code] == ["Dank u wel, één kop komt eraan."]


def test_a_letter_whose_file_is_not_there_is_told_so(database: Database):
    written(database, READY)

    assert any("geen bestand" in told for told in infos(opened("letters")))


def test_the_overview_tells_of_letters_that_cannot_leave(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SMTP_URL", "smtp://mail.example.com:587")
    monkeypatch.setenv("MAIL_FROM", "Winkel <winkel@example.com>")
    st.cache_resource.clear()
    written(database, READY, tries=1, error="connection refused")

    page = opened("overview")

    assert "Post die nog niet weg kon: 1; zie Post." in page.warning[0].value


def test_the_overview_says_nothing_of_letters_that_were_just_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SMTP_URL", "smtp://mail.example.com:587")
    monkeypatch.setenv("MAIL_FROM", "Winkel <winkel@example.com>")
    st.cache_resource.clear()
    written(database, READY)

    assert "Post" not in " ".join(each.value for each in opened("overview").warning)


@pytest.mark.parametrize("status", [FAILED, SENDING])
def test_the_overview_tells_of_letters_that_did_not_arrive_for_some_days(
    database: Database, status: str
):
    written(database, status, due_at=utcnow())
    told = [each.value for each in opened("overview").warning]
    long_ago = utcnow() - timedelta(days=8)
    database.write(
        lambda session: session.execute(update(Mail).values(created_at=long_ago))
    )
    st.cache_data.clear()

    later = [each.value for each in opened("overview").warning]

    assert told == [
        "Post die niet is aangekomen, of misschien niet: 1. Op de pagina Post kunt u"
        " die opnieuw sturen."
    ]
    assert later == []


def test_a_letter_that_is_under_way_is_no_trouble_yet(database: Database):
    written(database, SENDING, due_at=utcnow() + timedelta(minutes=5))

    assert [each.value for each in opened("overview").warning] == []
