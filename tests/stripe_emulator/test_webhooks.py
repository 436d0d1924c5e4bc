import json
import threading
import time

import pytest
import requests
import stripe

from stripe_emulator.webhooks import deliveries
from tests.emulator import wait_until
from tests.stripe_emulator.conftest import SECRET, order

COMPLETED = "checkout.session.completed"


@pytest.fixture
def session(sessions):
    return sessions.create(order())


def test_an_event_is_signed_over_its_bytes(session, control, shop):
    control(f"sessions/{session.id}/pay")
    shop.wait_for(COMPLETED)

    for body, signature in shop.received:
        event = stripe.Webhook.construct_event(body, signature, SECRET)
        assert event.pending_webhooks == 1


def test_a_payment_waits_for_the_answer(session, control, shop):
    control(f"sessions/{session.id}/pay")

    assert len(shop.events(COMPLETED)) == 1


def test_a_payment_need_not_wait(session, control, shop):
    shop.gate.clear()

    control(f"sessions/{session.id}/pay", wait=False)

    assert shop.wait_for(COMPLETED)


def test_an_event_is_sent_again_until_it_is_taken(client, session, control, shop):
    shop.answers = [500] * 6
    control(f"sessions/{session.id}/pay")

    events = shop.wait_for("charge.succeeded", 3)

    assert {event["id"] for event in events} == {events[0]["id"]}
    wait_until(
        lambda: client.v1.events.retrieve(events[0]["id"]).pending_webhooks == 0,
        what="the event taken",
    )


def test_the_pauses_grow(session, control, shop, emulator):
    shop.answers = [500] * 100
    control(f"sessions/{session.id}/pay")
    deliveries = emulator.account.tables["deliveries"]
    pauses: set[float] = set()

    def grows():
        pauses.update(row["pause"] for row in deliveries.values())
        control("clock", advance=2)
        return {1.0, 2.0, 4.0, 8.0} <= pauses

    wait_until(grows, what="a growing pause")

    assert max(pauses) <= 60


def test_each_attempt_is_signed_anew(session, control, shop):
    shop.answers = [500] * 3
    control(f"sessions/{session.id}/pay")
    shop.wait_for("", 5)

    by_event: dict[str, list[str]] = {}
    for body, signature in shop.received:
        stripe.Webhook.construct_event(body, signature, SECRET)
        by_event.setdefault(json.loads(body)["id"], []).append(signature)
    assert max(map(len, by_event.values())) >= 2


def test_a_redirect_is_no_answer(session, control, shop, emulator):
    shop.answers = [302] * 3
    control(f"sessions/{session.id}/pay")

    with emulator.account.mutex:
        assert len(emulator.account.tables["deliveries"]) == 3


def test_one_slow_answer_does_not_hold_up_the_rest(sessions, control, shop):
    shop.gate.clear()
    first, second = (sessions.create(order()) for _ in range(2))
    control(f"sessions/{first.id}/pay", wait=False)
    shop.wait_for(COMPLETED)

    control(f"sessions/{second.id}/pay", wait=False)

    assert len(shop.wait_for(COMPLETED, 2)) == 2


def test_held_events_come_when_they_are_released(session, control, shop, look):
    control("faults", kind="webhooks", mode="hold")
    control(f"sessions/{session.id}/pay", wait=False)
    assert len(look("webhooks")["waiting"]) == 3
    assert shop.events() == []

    control("webhooks/release")

    assert shop.wait_for(COMPLETED)


def test_held_events_can_be_released_in_reverse(session, control, shop):
    control("faults", kind="webhooks", mode="hold")
    control(f"sessions/{session.id}/pay", wait=False)

    control("webhooks/release", order="reversed")

    assert [event["type"] for event in shop.wait_for("", 3)] == [
        COMPLETED,
        "payment_intent.succeeded",
        "charge.succeeded",
    ]


def test_dropped_events_never_come(session, control, shop, look):
    control("faults", kind="webhooks", mode="drop")

    control(f"sessions/{session.id}/pay")

    assert look("webhooks")["waiting"] == []
    assert shop.events() == []


def test_one_kind_of_event_can_be_lost(session, control, shop):
    control("faults", kind="webhooks", mode="drop", types=[COMPLETED])

    control(f"sessions/{session.id}/pay")

    assert shop.wait_for("payment_intent.succeeded")
    assert shop.events(COMPLETED) == []


def test_one_kind_of_event_can_be_late(session, control, shop, look):
    control("faults", kind="webhooks", mode="hold", types=[COMPLETED])
    control(f"sessions/{session.id}/pay")
    shop.wait_for("payment_intent.succeeded")
    assert shop.events(COMPLETED) == []

    control("webhooks/release")

    assert shop.wait_for(COMPLETED)


def test_an_event_comes_again_in_moved_time(session, control, shop, look, monkeypatch):
    monkeypatch.setattr(deliveries, "_FIRST_PAUSE", 3600.0)
    shop.answers = [500] * 3
    control(f"sessions/{session.id}/pay")
    wait_until(lambda: len(look("webhooks")["attempts"]) == 3)

    control("clock", advance=3601)

    assert shop.wait_for(COMPLETED, 2)


def test_an_event_is_given_up_after_three_days(session, control, shop, look):
    shop.answers = [500] * 1000
    control(f"sessions/{session.id}/pay")
    assert len(look("webhooks")["waiting"]) == 3

    control("clock", advance=3 * 86_400 + 1)

    wait_until(lambda: look("webhooks")["waiting"] == [], what="the end of it")


@pytest.mark.parametrize(("mode", "ids"), [("duplicate", 1), ("twice", 2)])
def test_a_fact_can_be_told_twice(session, control, shop, mode, ids):
    control("faults", kind="webhooks", mode=mode)
    control(f"sessions/{session.id}/pay")

    events = shop.wait_for(COMPLETED, 2)

    assert len({event["id"] for event in events}) == ids
    assert {event["data"]["object"]["id"] for event in events} == {session.id}


def test_an_event_can_be_sent_by_hand(session, control, shop):
    control("faults", kind="webhooks", mode="drop")
    event = control(f"sessions/{session.id}/pay")["event"]

    control(f"events/{event['id']}/deliver")

    assert shop.wait_for(COMPLETED)[0]["id"] == event["id"]


@pytest.mark.parametrize("signature", ["wrong", "old"])
def test_a_bad_signature_is_refused_by_the_package(session, control, shop, signature):
    control("faults", kind="webhooks", signature=signature)
    control(f"sessions/{session.id}/pay")
    shop.wait_for(COMPLETED)

    body, header = shop.received[0]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, SECRET)


@pytest.mark.parametrize("signature", ["rolled", "future"])
def test_a_strange_signature_is_taken_by_the_package(session, control, shop, signature):
    control("faults", kind="webhooks", signature=signature)
    control(f"sessions/{session.id}/pay")
    shop.wait_for(COMPLETED)

    body, header = shop.received[0]
    assert stripe.Webhook.construct_event(body, header, SECRET).id
    assert header.count("v1=") == (2 if signature == "rolled" else 1)
    assert (int(header[2:12]) > time.time() + 300) == (signature == "future")


def test_a_session_can_be_paid_while_its_create_is_unanswered(
    emulator, sessions, control, shop
):
    control("barriers", route="create", after=True)
    creating = threading.Thread(target=sessions.create, args=(order(),))
    creating.start()
    wait_until(lambda: emulator.barriers.listed()["waiting"])
    (session_id,) = emulator.account.tables["sessions"]

    control(f"sessions/{session_id}/pay")
    still_waits = creating.is_alive()
    control("barriers/release", route="create")
    creating.join()

    assert still_waits
    assert shop.events(COMPLETED)


def test_a_held_event_is_not_waited_for(session, control, shop):
    control("faults", kind="webhooks", mode="hold")
    began = time.monotonic()

    control(f"sessions/{session.id}/pay")

    assert time.monotonic() - began < 5


def test_the_end_does_not_wait_for_a_slow_shop(emulator, session, control, shop):
    shop.gate.clear()
    control(f"sessions/{session.id}/pay", wait=False)
    shop.wait_for(COMPLETED)
    began = time.monotonic()

    emulator.webhooks.stop()
    wait_until(lambda: len(emulator.webhooks.attempts) == 3)

    assert time.monotonic() - began < 5


def test_a_webhook_goes_to_this_machine_only(control):
    with pytest.raises(requests.HTTPError, match="400"):
        control("webhooks/endpoint", url="https://example.com/hook")
