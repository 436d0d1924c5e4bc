from concurrent.futures import ThreadPoolExecutor

from core.mail.outbox import Sent
from core.models.mail import READY, SENDING
from core.shop import Shop
from tests.core.mailing import (
    add_letter,
    letter,
    send,
    send_again,
)
from tests.factories import FakeClock, at_once
from tests.smtp import MailServer


def test_a_letter_that_was_sent_is_not_sent_again(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    add_letter(mailing)
    send(mailing)
    clock.advance(days=1)

    assert send(mailing) == Sent()
    assert len(server.letters) == 1


def test_many_senders_at_once_send_each_letter_once(
    mailing: Shop, server: MailServer
) -> None:
    keys = [f"order-{number}" for number in range(12)]
    for key in keys:
        add_letter(mailing, key)

    answers = at_once([lambda: send(mailing) for _ in range(6)])

    total = [answer.sent for answer in answers if isinstance(answer, Sent)]
    assert (len(total), sum(total)) == (6, len(keys))
    subjects = sorted(each.message["Subject"] for each in server.letters)
    assert subjects == sorted(f"Je bestelling: {key}" for key in keys)


def test_a_slow_server_does_not_cost_the_sender_its_claim(
    mailing: Shop, server: MailServer, clock: FakeClock, aside: ThreadPoolExecutor
) -> None:
    add_letter(mailing)
    server.hold("MAIL")
    server.hold("DATA")
    slow = aside.submit(send, mailing)
    server.wait_for("MAIL")
    clock.advance(seconds=15)
    server.release("MAIL")
    server.wait_for("DATA")
    clock.advance(seconds=16)

    assert send(mailing) == Sent()
    server.release("DATA")
    assert slow.result() == Sent(sent=1)
    assert len(server.letters) == 1


def test_a_letter_that_a_sender_has_is_passed_by(
    mailing: Shop, server: MailServer, aside: ThreadPoolExecutor
) -> None:
    add_letter(mailing, "order-1")
    server.hold("DATA", times=1)
    slow = aside.submit(send, mailing)
    server.wait_for("DATA")
    add_letter(mailing, "order-2")

    assert send(mailing) == Sent(sent=1)
    assert server.seen["MAIL"] == 2
    server.release("DATA")
    assert slow.result() == Sent(sent=1)
    assert len(server.letters) == 2


def test_a_sender_whose_claim_is_over_decides_nothing(
    mailing: Shop, server: MailServer, clock: FakeClock, aside: ThreadPoolExecutor
) -> None:
    mail_id = add_letter(mailing)
    server.hold("RCPT", times=1)
    slow = aside.submit(send, mailing)
    server.wait_for("RCPT")
    clock.advance(seconds=31)
    server.hold("DATA", times=1)
    quick = aside.submit(send, mailing)
    server.wait_for("DATA")
    server.refuse("RCPT", "550 Gone")
    server.release("RCPT")

    assert slow.result() == Sent()
    assert letter(mailing, mail_id).status == READY
    server.release("DATA")
    assert quick.result() == Sent(sent=1)
    assert len(server.letters) == 1


def test_a_sender_whose_claim_is_over_hangs_up_when_another_has_it(
    mailing: Shop, server: MailServer, clock: FakeClock, aside: ThreadPoolExecutor
) -> None:
    add_letter(mailing)
    server.hold("DATA", times=1)
    slow = aside.submit(send, mailing)
    server.wait_for("DATA")
    clock.advance(seconds=31)

    assert send(mailing) == Sent(sent=1)
    server.release("DATA")
    assert slow.result() == Sent()
    assert len(server.letters) == 1


def test_a_letter_that_failed_can_be_sent_again(
    mailing: Shop, server: MailServer
) -> None:
    mail_id = add_letter(mailing)
    server.refuse("RCPT", "550 No such user here")
    send(mailing)

    assert send_again(mailing, mail_id)
    assert send(mailing) == Sent(sent=1)


def test_a_letter_sent_again_is_known_by_its_message_id(
    mailing: Shop, server: MailServer
) -> None:
    mail_id = add_letter(mailing)
    server.drop("DOT")
    send(mailing)
    assert send_again(mailing, mail_id)
    send(mailing)

    first, second = (each.message["Message-ID"] for each in server.letters)
    assert first == second


def test_what_is_under_way_cannot_be_sent_again(
    mailing: Shop, server: MailServer, clock: FakeClock, aside: ThreadPoolExecutor
) -> None:
    mail_id = add_letter(mailing)
    server.hold("DOT")
    slow = aside.submit(send, mailing)
    server.wait_for("DOT")
    clock.advance(minutes=10)

    assert letter(mailing, mail_id).status == SENDING
    assert not send_again(mailing, mail_id)
    server.release("DOT")
    assert slow.result() == Sent(sent=1)


def test_what_is_due_or_was_sent_cannot_be_sent_again(mailing: Shop) -> None:
    mail_id = add_letter(mailing)
    was_due = send_again(mailing, mail_id)
    send(mailing)

    assert not was_due
    assert not send_again(mailing, mail_id)
    assert not send_again(mailing, mail_id + 1)
