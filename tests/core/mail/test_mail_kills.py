"""
Senders killed with -9 at every step of a letter, on both databases.

Until the commit that makes the letter SENDING the server has not taken it, and it is
sent after the restart. After that commit the row cannot tell: only the owner sends it
again.
"""

import signal
import subprocess
import sys

import pytest

from core.mail.outbox import Sent
from core.models.mail import READY, SENDING
from core.models.refunds import SENT
from core.shop import Shop
from tests.core.mailing import (
    SENDER,
    add_letter,
    letter,
    send,
    send_again,
    with_server,
)
from tests.factories import FakeClock
from tests.programs import PATIENCE_SECONDS, ROOT, environment
from tests.smtp import MailServer

pytestmark = pytest.mark.slow

BEFORE_THE_NOTE = {
    "before the claim": "_claim_one",
    "after the claim": "_hand_over",
    "before the server is called": "Connection.send_text",
    "when it is to log in": "Connection._log_in",
    "before the recipients": "Connection._address",
    "with all sent but the dot": "_Claim.change",
}


def start(shop: Shop, *killed_in: str) -> "subprocess.Popen[bytes]":
    """Start a sender of *shop*'s letters in a process of its own."""
    config = shop.config
    server = {}
    if config.smtp:
        address = f"smtp://{config.smtp.host}:{config.smtp.port}"
        server = {"SMTP_URL": address, "MAIL_FROM": SENDER}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.core.mail_sender", *killed_in],
        cwd=ROOT,
        env=environment(
            DATABASE_URL=config.database_url,
            DATA_DIR=str(config.data_dir),
            STRIPE_SECRET_KEY=config.stripe_secret_key,
            **server,
        ),
        stderr=subprocess.DEVNULL,
    )


def die_in(shop: Shop, name: str) -> None:
    with start(shop, name) as sender:
        try:
            assert sender.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        finally:
            sender.kill()


@pytest.mark.parametrize("name", BEFORE_THE_NOTE.values(), ids=BEFORE_THE_NOTE)
def test_killed_before_the_note_it_is_sent_once_after_a_restart(
    mailing: Shop, server: MailServer, clock: FakeClock, name: str
) -> None:
    mail_id = add_letter(mailing)

    die_in(mailing, name)

    assert letter(mailing, mail_id).status == READY
    assert server.letters == []
    clock.advance(hours=1)
    assert send(mailing) == Sent(sent=1)
    assert send(mailing) == Sent()
    assert len(server.letters) == 1
    assert letter(mailing, mail_id).status == SENT


def assert_left_alone(mailing: Shop, mail_id: int, clock: FakeClock) -> None:
    """Nobody sends it by himself, however long it is."""
    assert letter(mailing, mail_id).status == SENDING
    clock.advance(days=7)
    assert send(mailing) == Sent()


def test_killed_before_the_dot_it_is_left_to_the_owner(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    mail_id = add_letter(mailing)

    die_in(mailing, "Connection.complete")

    assert_left_alone(mailing, mail_id, clock)
    assert server.letters == []
    assert send_again(mailing, mail_id)
    assert send(mailing) == Sent(sent=1)
    assert len(server.letters) == 1


def test_killed_while_the_server_takes_it_it_arrives_once(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    mail_id = add_letter(mailing)
    server.hold("DOT")
    with start(mailing) as sender:
        try:
            server.wait_for("DOT")
        finally:
            sender.kill()
    server.release("DOT")

    assert_left_alone(mailing, mail_id, clock)
    assert len(server.letters) == 1


def test_killed_after_the_answer_it_arrives_once(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    mail_id = add_letter(mailing)

    die_in(mailing, "_Claim.finish")

    assert_left_alone(mailing, mail_id, clock)
    assert len(server.letters) == 1


def test_not_killed_it_arrives(mailing: Shop, server: MailServer) -> None:
    mail_id = add_letter(mailing)

    with start(mailing) as sender:
        try:
            assert sender.wait(PATIENCE_SECONDS) == 0
        finally:
            sender.kill()
    assert letter(mailing, mail_id).status == SENT
    assert len(server.letters) == 1


@pytest.mark.parametrize("name", ["keep_copy", "_Claim.finish"])
def test_a_demo_killed_at_a_letter_keeps_one_file_after_a_restart(
    shop: Shop, clock: FakeClock, name: str
) -> None:
    demo = with_server(shop, None)
    mail_id = add_letter(demo)

    die_in(demo, name)
    clock.advance(hours=1)

    assert send(demo) == Sent(sent=1)
    assert letter(demo, mail_id).status == SENT
    assert [each.name for each in (demo.config.data_dir / "mail").iterdir()] == [
        "order-1.eml"
    ]
