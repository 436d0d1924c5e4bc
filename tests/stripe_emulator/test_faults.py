import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
import stripe

from tests.emulator import wait_until
from tests.stripe_emulator.conftest import client_for, order


def made(sessions):
    return len(sessions.list().data)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("drop_after", 1),
        ("timeout_after", 1),
        ("hang", 0),
        ("reset_before", 0),
        ("reset_after", 1),
    ],
)
def test_an_answer_can_be_lost(sessions, control, kind, count):
    control("faults", route="create", kind=kind, seconds=0.05)

    with pytest.raises(stripe.APIConnectionError):
        sessions.create(order())

    assert made(sessions) == count


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
def test_a_connection_can_be_reset(url, control, kind):
    control("faults", route="list", kind=kind)
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 5) as connection:
        head = "GET /v1/checkout/sessions HTTP/1.1\r\nHost: x\r\n"
        connection.sendall(f"{head}Authorization: Bearer sk_test_x\r\n\r\n".encode())

        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_client_can_run_out_of_patience(url, sessions, control):
    control("faults", route="create", kind="timeout_after", seconds=30)
    hasty = client_for(url, http_client=stripe.RequestsClient(timeout=0.3))

    with pytest.raises(stripe.APIConnectionError):
        hasty.v1.checkout.sessions.create(order())

    assert made(sessions) == 1


def test_an_answer_can_be_slow(sessions, control):
    control("faults", route="create", kind="slow", seconds=0.3)
    began = time.monotonic()

    sessions.create(order())

    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, stripe.InvalidRequestError),
        (409, stripe.APIError),
        (429, stripe.RateLimitError),
        (500, stripe.APIError),
        (502, stripe.APIError),
    ],
)
def test_a_status_is_answered_as_often_as_wanted(sessions, control, status, error):
    control("faults", route="create", kind="status", status=status, times=2)

    for _ in range(2):
        with pytest.raises(error) as caught:
            sessions.create(order())
        assert caught.value.http_status == status

    assert sessions.create(order()).status == "open"
    assert made(sessions) == 1


def test_a_gateway_answers_html(url, control):
    control("faults", route="list", kind="status", status=502)

    headers = {"Authorization": "Bearer sk_test_x"}
    answer = requests.get(f"{url}/v1/checkout/sessions", headers=headers, timeout=5)

    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_header_may_tell_the_package_to_try_again(url, control):
    headers = {"stripe-should-retry": "true"}
    control("faults", route="create", kind="status", status=429, headers=headers)
    client = client_for(url, max_network_retries=1)

    assert client.v1.checkout.sessions.create(order()).status == "open"


def test_a_fault_can_meet_one_session_only(sessions, control):
    bad, good = (sessions.create(order()).id for _ in range(2))
    control("faults", route="expire", kind="error_before", id=bad, times=0)

    assert sessions.expire(good).status == "expired"
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            sessions.expire(bad)
    assert sessions.retrieve(bad).status == "open"


def test_a_reset_takes_faults_and_objects_away(sessions, control, look):
    sessions.create(order())
    control("faults", route="*", kind="error_before", times=0)

    control("reset")

    assert look("faults")["faults"] == []
    assert made(sessions) == 0


@pytest.mark.parametrize("body", [{"route": "create"}, {"route": "x", "kind": "slow"}])
def test_a_fault_that_does_not_exist_is_refused(control, body):
    with pytest.raises(requests.HTTPError, match="400"):
        control("faults", **body)


@pytest.mark.parametrize("first", ["expire", "pay"])
def test_of_pay_and_expire_the_first_wins(sessions, control, look, first):
    session = sessions.create(order())
    second = "pay" if first == "expire" else "expire"
    act = {
        "pay": lambda: control(f"sessions/{session.id}/pay"),
        "expire": lambda: sessions.expire(session.id),
    }
    refusals = []

    def lose():
        try:
            act[second]()
        except (requests.HTTPError, stripe.InvalidRequestError) as error:
            refusals.append(error)

    control("barriers", route=second)
    loser = threading.Thread(target=lose)
    loser.start()
    wait_until(lambda: look("barriers")["waiting"])
    act[first]()
    control("barriers/release", route=second)
    loser.join()

    assert len(refusals) == 1
    status = {"pay": "complete", "expire": "expired"}[first]
    assert sessions.retrieve(session.id).status == status


@pytest.mark.parametrize("order_of_release", [("pay", "expire"), ("expire", "pay")])
def test_pay_and_expire_are_let_go_in_either_order(
    sessions, control, look, order_of_release
):
    session = sessions.create(order())
    answers = {}

    def run(name, act):
        try:
            act()
            answers[name] = True
        except (requests.HTTPError, stripe.InvalidRequestError):
            answers[name] = False

    acts = {
        "pay": lambda: control(f"sessions/{session.id}/pay"),
        "expire": lambda: sessions.expire(session.id),
    }
    threads = [threading.Thread(target=run, args=pair) for pair in acts.items()]
    for name, thread in zip(acts, threads, strict=True):
        control("barriers", route=name)
        thread.start()
    wait_until(lambda: len(look("barriers")["waiting"]) == 2)
    for name in order_of_release:
        control("barriers/release", route=name)
        wait_until(lambda name=name: name in answers)
    for thread in threads:
        thread.join()

    first, second = order_of_release
    assert answers == {first: True, second: False}


def test_a_call_can_wait_after_its_effect(sessions, control, look):
    session = sessions.create(order())
    control("barriers", route="expire", after=True)
    call = threading.Thread(target=sessions.expire, args=(session.id,))
    call.start()
    wait_until(lambda: look("barriers")["waiting"])

    status = sessions.retrieve(session.id).status
    control("barriers/release", route="expire")
    call.join()

    assert status == "expired"
    assert look("barriers") == {"barriers": [], "waiting": []}


def test_calls_are_recorded_with_their_bytes(sessions, look):
    sessions.create(order(), {"idempotency_key": "checkout-7"})

    (row,) = look("requests")["requests"]

    assert (row["method"], row["path"]) == ("POST", "/v1/checkout/sessions")
    assert "line_items[0][price_data][currency]=eur" in row["body"]
    assert row["headers"]["Idempotency-Key"] == "checkout-7"
    assert row["headers"]["Stripe-Version"] == stripe.api_version
    assert "sk_test" not in str(row)
