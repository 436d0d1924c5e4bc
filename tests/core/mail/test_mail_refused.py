from datetime import timedelta

import pytest

from core.mail.outbox import MOST_TRIES, Sent
from core.models.mail import READY, SENDING
from core.models.refunds import FAILED
from core.shop import Shop
from tests.core.mailing import (
    add_letter,
    letter,
    send,
    with_server,
)
from tests.factories import FakeClock
from tests.smtp import MailServer


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_passing_refusal_is_tried_again_after_a_minute(
    mailing: Shop, server: MailServer, clock: FakeClock, step: str
) -> None:
    mail_id = add_letter(mailing)
    server.refuse(step, "451 Come back later")

    assert send(mailing) == Sent(again=1)
    row = letter(mailing, mail_id)
    assert (row.status, row.due_at) == (READY, clock.now + timedelta(minutes=1))
    clock.advance(seconds=59)
    assert send(mailing) == Sent()
    clock.advance(seconds=1)
    assert send(mailing) == Sent(sent=1)
    assert len(server.letters) == 1


def test_the_servers_words_are_kept_until_the_letter_is_sent(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    mail_id = add_letter(mailing)
    server.refuse("DOT", "451 Greylisted")
    send(mailing)
    kept = letter(mailing, mail_id).error
    clock.advance(minutes=1)
    send(mailing)

    assert kept == "451 Greylisted"
    assert letter(mailing, mail_id).error == ""


def test_the_pauses_grow_and_after_three_days_it_is_given_up(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    mail_id = add_letter(mailing)
    server.refuse("DOT", "451 Not now", times=1_000)
    begun, pauses = clock.now, []

    while letter(mailing, mail_id).status == READY:
        send(mailing)
        pauses.append(letter(mailing, mail_id).due_at - clock.now)
        clock.now = letter(mailing, mail_id).due_at

    minutes = [pause.total_seconds() / 60 for pause in pauses]
    assert minutes[:6] == [1, 5, 15, 60, 360, 360]
    assert len(pauses) == MOST_TRIES
    assert timedelta(days=2.5) < clock.now - begun < timedelta(days=3.5)
    row = letter(mailing, mail_id)
    assert (row.status, row.error) == (FAILED, "451 Not now")
    assert server.letters == []


def test_a_refused_recipient_fails_the_letter_at_once(
    mailing: Shop, server: MailServer
) -> None:
    mail_id = add_letter(mailing)
    server.refuse("RCPT", "550 5.1.1 No such user here")

    assert send(mailing) == Sent(failed=1)
    row = letter(mailing, mail_id)
    assert (row.status, row.error) == (FAILED, "550 5.1.1 No such user here")


def test_a_letter_that_is_refused_for_good_fails(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    mail_id = add_letter(mailing)
    server.refuse("DOT", "554 This is spam")

    assert send(mailing) == Sent(failed=1)
    assert letter(mailing, mail_id).status == FAILED
    clock.advance(days=4)
    assert send(mailing) == Sent()


def test_a_refused_sender_waits_for_better_settings(
    mailing: Shop, server: MailServer
) -> None:
    mail_id = add_letter(mailing)
    server.refuse("MAIL", "550 Who are you?")

    assert send(mailing) == Sent(again=1)
    assert letter(mailing, mail_id).error == (
        "the sender was refused: 550 Who are you?"
    )


def test_one_bad_letter_does_not_hold_up_the_others(
    mailing: Shop, server: MailServer
) -> None:
    for number, recipient in enumerate(("a@x.example", "b@x.example", "c@x.example")):
        add_letter(mailing, f"order-{number}", recipient=recipient)
    server.refuse("RCPT", "550 No", only_for="a@x.example")
    server.refuse("DOT", "451 Later")

    assert send(mailing) == Sent(sent=1, again=1, failed=1)
    assert [each.recipients for each in server.letters] == [("c@x.example",)]


def test_one_refused_recipient_does_not_keep_it_from_the_other(
    mailing: Shop, server: MailServer
) -> None:
    mail_id = add_letter(mailing, recipient="a@x.example b@x.example")
    server.refuse("RCPT", "450 Full", only_for="a@x.example")

    assert send(mailing) == Sent(sent=1)
    assert server.letters[0].recipients == ("b@x.example",)
    assert letter(mailing, mail_id).error == "450 Full"


def test_a_server_that_is_not_there_is_tried_again(shop: Shop) -> None:
    with MailServer() as gone:
        mailing = with_server(shop, gone.settings())
    mail_id = add_letter(mailing)

    assert send(mailing) == Sent(again=1)
    assert letter(mailing, mail_id).error.startswith("ConnectionRefusedError")


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_a_connection_lost_before_the_dot_is_tried_again(
    mailing: Shop, server: MailServer, clock: FakeClock, step: str
) -> None:
    add_letter(mailing)
    server.drop(step)

    assert send(mailing) == Sent(again=1)
    clock.advance(minutes=1)
    assert send(mailing) == Sent(sent=1)
    assert len(server.letters) == 1


def test_a_connection_lost_after_the_dot_is_never_tried_again_by_itself(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    mail_id = add_letter(mailing)
    server.drop("DOT")

    assert send(mailing) == Sent(unknown=1)
    row = letter(mailing, mail_id)
    assert row.status == SENDING
    assert row.error.startswith("nobody knows whether it was taken")
    clock.advance(days=4)
    assert send(mailing) == Sent()
    assert len(server.letters) == 1
