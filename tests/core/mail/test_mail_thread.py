from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from core.models.checkout import EXPIRED
from core.models.mail import READY
from core.models.refunds import SENT
from core.scheduler import Scheduler
from core.shop import Shop
from tests.core.mailing import add_letter, letter, live, with_server, words
from tests.factories import FakeClock, add_product, begin, eventually, status_of
from tests.smtp import MailServer

pytestmark = pytest.mark.slow


@pytest.fixture
def mailing(shop: Shop, server: MailServer) -> Shop:
    """Give a shop that sweeps every second and sends its letters to *server*."""
    brisk = replace(shop, config=replace(shop.config, cleanup_interval_seconds=1))
    return with_server(brisk, server.settings())


@contextmanager
def running(shop: Shop) -> Iterator[Scheduler]:
    scheduler = Scheduler(shop, words)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()


def test_letters_are_sent_soon(mailing: Shop, server: MailServer) -> None:
    with running(mailing):
        ids = [add_letter(mailing, f"order-{number}") for number in (1, 2)]
        eventually(lambda: len(server.letters) == len(ids))

    assert [letter(mailing, each).status for each in ids] == [SENT, SENT]


def test_several_at_once_send_each_letter_once(
    mailing: Shop, server: MailServer
) -> None:
    ids = [add_letter(mailing, f"order-{number}") for number in range(8)]

    with running(mailing), running(mailing), running(mailing):
        eventually(lambda: all(letter(mailing, each).status == SENT for each in ids))

    assert len(server.letters) == len(ids)


def test_a_slow_server_does_not_hold_up_the_sweep(
    mailing: Shop, server: MailServer, clock: FakeClock
) -> None:
    page = begin(mailing, {add_product(mailing.database): 1})
    add_letter(mailing)
    server.hold("DATA")

    with running(mailing) as scheduler:
        server.wait_for("DATA")
        clock.advance(minutes=16)
        eventually(lambda: status_of(mailing.database, page.checkout_id) == EXPIRED)
        eventually(scheduler.is_in_order)
        sent_by_then = len(server.letters)
        server.release("DATA")

    assert sent_by_then == 0
    assert status_of(mailing.database, page.checkout_id) == EXPIRED


def test_stopping_waits_for_the_letter_that_is_under_way(
    mailing: Shop, server: MailServer
) -> None:
    first, second = add_letter(mailing, "order-1"), add_letter(mailing, "order-2")
    server.hold("DOT", times=1)
    scheduler = Scheduler(mailing, words)
    scheduler.start()
    server.wait_for("DOT")

    with ThreadPoolExecutor(1) as aside:
        stopping = aside.submit(scheduler.stop)
        eventually(lambda: not scheduler.is_in_order())
        assert not stopping.done()
        server.release("DOT")
        stopping.result()

    assert letter(mailing, first).status == SENT
    assert letter(mailing, second).status == READY
    assert len(server.letters) == 1


def test_without_a_letter_writer_none_are_sent(mailing: Shop, clock: FakeClock) -> None:
    mail_id = add_letter(mailing)
    page = begin(mailing, {add_product(mailing.database): 1})
    clock.advance(minutes=16)
    scheduler = Scheduler(mailing)

    scheduler.start()
    eventually(lambda: status_of(mailing.database, page.checkout_id) == EXPIRED)
    scheduler.stop()

    assert letter(mailing, mail_id).status == READY


def test_a_live_shop_without_a_server_is_warned_once(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    add_letter(shop)
    looks: list[str] = []

    def count(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM mail" in statement:
            looks.append(statement)

    event.listen(shop.database.engine, "before_cursor_execute", count)
    with running(live(shop)):
        eventually(lambda: len(looks) >= 3)

    warned = [each for each in caplog.records if each.name == "core.scheduler"]
    assert [each.getMessage() for each in warned] == [
        "1 letters wait: SMTP_URL is not set"
    ]


def test_an_outbox_that_fails_is_logged_and_works_later(
    mailing: Shop, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    add_letter(mailing)
    refused: list[str] = []

    def refuse(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM mail" in statement and len(refused) < 2:
            refused.append(statement)
            raise RuntimeError("the disk is gone")

    event.listen(mailing.database.engine, "before_cursor_execute", refuse)
    with running(mailing):
        eventually(lambda: len(server.letters) == 1)

    logged = [each for each in caplog.records if each.name == "core.scheduler"]
    assert [each.getMessage() for each in logged] == ["the outbox failed"] * 2
