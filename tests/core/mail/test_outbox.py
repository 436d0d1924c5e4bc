import logging
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from core.mail import outbox
from core.mail.letter import Letter, copy_of
from core.mail.outbox import Sent
from core.models.mail import READY, TO_DO_MAIL, Mail
from core.models.refunds import SENT
from core.shop import Shop
from tests.core.mailing import (
    TEXT,
    add_letter,
    letter,
    live,
    send,
    words,
)
from tests.factories import FakeClock, at_once
from tests.smtp import MailServer


def test_a_letter_arrives_as_it_was_written(mailing: Shop, server: MailServer) -> None:
    mail_id = add_letter(mailing)

    sent = send(mailing)

    assert sent == Sent(sent=1)
    (taken,) = server.letters
    assert (taken.sender, taken.recipients) == (
        "shop@voorraad.example",
        ("m@klant.example",),
    )
    assert taken.message["From"] == "Voorraad <shop@voorraad.example>"
    assert taken.message["To"] == "m@klant.example"
    assert taken.message["Subject"] == "Je bestelling: order-1"
    assert taken.message["Date"].datetime == mailing.clock()
    assert taken.message["Auto-Submitted"] == "auto-generated"
    plain, html = taken.message.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == TEXT
    assert "Voor € 12,50 één kop." in html.get_content()
    row = letter(mailing, mail_id)
    assert (row.status, row.tries, row.sent_at) == (SENT, 1, mailing.clock())


def test_a_letter_that_is_not_due_stays(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    add_letter(mailing, due_at=clock.now + timedelta(seconds=1))

    assert send(mailing) == Sent()
    assert server.letters == []


def test_only_as_many_are_sent_as_were_asked_for(
    mailing: Shop, server: MailServer
) -> None:
    for number in range(3):
        add_letter(mailing, f"order-{number}")

    assert outbox.send_due(mailing, words, at_most=2) == Sent(sent=2)
    assert len(server.letters) == 2


def test_words_that_cannot_be_found_hold_up_no_other_letter(
    mailing: Shop, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    def write(session: Session, row: Mail) -> Letter | None:
        if row.key == "order-1":
            raise KeyError("secret words")
        return words(session, row)

    mail_id = add_letter(mailing, "order-1")
    add_letter(mailing, "order-2")

    assert outbox.send_due(mailing, write) == Sent(sent=1, again=1)
    assert letter(mailing, mail_id).error == "KeyError in its words"
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.getMessage() for each in errors] == [
        "letter order-1 could not be written"
    ]


def test_a_letter_about_nothing_fails(mailing: Shop) -> None:
    mail_id = add_letter(mailing)

    assert outbox.send_due(mailing, lambda _session, _mail: None) == Sent(failed=1)
    assert letter(mailing, mail_id).error == "what it tells about is not there"


@pytest.mark.parametrize(
    ("recipient", "kind", "reason"),
    [
        ("", TO_DO_MAIL, "no owner has an address"),
        ("a@x.example>", "ORDER", "the address is none that a letter can be sent to"),
        ("één@x.example", "ORDER", "the address is none that a letter can be sent to"),
        ("a@x..example", "ORDER", "the address is none that a letter can be sent to"),
    ],
)
def test_a_letter_to_nobody_fails(
    mailing: Shop, server: MailServer, recipient: str, kind: str, reason: str
) -> None:
    mail_id = add_letter(mailing, recipient=recipient, kind=kind)

    assert send(mailing) == Sent(failed=1)
    assert letter(mailing, mail_id).error == reason
    assert server.seen["MAIL"] == 0


def test_a_domain_in_other_letters_is_written_as_servers_know_it(
    mailing: Shop, server: MailServer
) -> None:
    add_letter(mailing, recipient="info@café.example")

    assert send(mailing) == Sent(sent=1)
    assert server.letters[0].recipients == ("info@xn--caf-dma.example",)


def test_without_a_server_a_demo_keeps_its_letters_as_files(shop: Shop) -> None:
    mail_id = add_letter(shop)

    assert send(shop) == Sent(sent=1)
    path = copy_of(shop.config, "order-1")
    assert b"\r\nTo: m@klant.example\r\n" in path.read_bytes()
    assert [each.name for each in path.parent.iterdir()] == ["order-1.eml"]
    assert letter(shop, mail_id).status == SENT


def test_many_senders_of_a_demo_keep_one_file_a_letter(shop: Shop) -> None:
    for number in range(8):
        add_letter(shop, f"order-{number}")

    answers = at_once([lambda: send(shop) for _ in range(4)])

    assert sum(each.sent for each in answers if isinstance(each, Sent)) == 8
    files = sorted(each.name for each in copy_of(shop.config, "x").parent.iterdir())
    assert files == [f"order-{number}.eml" for number in range(8)]


def test_a_folder_that_cannot_be_written_is_tried_again(shop: Shop) -> None:
    folder = copy_of(shop.config, "order-1").parent
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file in the way")
    mail_id = add_letter(shop)

    assert send(shop) == Sent(again=1)
    assert letter(shop, mail_id).error == "cannot write order-1.eml: File exists"


def test_without_a_server_the_letters_of_a_live_shop_wait(shop: Shop) -> None:
    mail_id = add_letter(shop)

    assert send(live(shop)) == Sent(waiting=1)
    assert letter(shop, mail_id).status == READY
    assert not copy_of(shop.config, "order-1").exists()


def test_logs_name_letters_and_no_addresses(
    mailing: Shop, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="core")
    add_letter(mailing, "order-1")
    add_letter(mailing, "order-2")
    server.refuse("RCPT", "550 m@klant.example is unknown")

    send(mailing)

    said = [
        each.getMessage() for each in caplog.records if each.name == "core.mail.outbox"
    ]
    assert said == ["letter order-1: failed", "letter order-2: sent"]
