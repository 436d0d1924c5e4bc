"""Connections to the emulator: kept, told apart, and ended."""

import http.client
import socket
import threading
import time

import pytest
import requests
import stripe
from flask import Flask, request

from stripe_emulator.emulator import Emulator
from stripe_emulator.serving.server import Server
from tests.emulator import EmulatorServer, wait_until
from tests.stripe_emulator.conftest import client_for, order


@pytest.fixture
def connection(emulator):
    kept = http.client.HTTPConnection("127.0.0.1", port_of(emulator), timeout=10)
    yield kept
    kept.close()


@pytest.fixture
def raw(emulator):
    with socket.create_connection(("127.0.0.1", port_of(emulator)), 10) as opened:
        yield opened


def port_of(emulator):
    return int(emulator.account.base_url.rpartition(":")[2])


def answers(connection, *calls):
    """The statuses and bodies of *calls*, one after the other."""
    found = []
    for call in calls:
        connection.request(*call)
        answer = connection.getresponse()
        found.append((answer.status, answer.read().decode()))
    return found


def is_ended(connection):
    return connection.recv(1) == b""


@pytest.fixture
def counted(url):
    """Sessions of the package, and how many calls and connections there were."""
    adapter = requests.adapters.HTTPAdapter()
    with requests.Session() as session:
        session.mount("http://", adapter)
        client = client_for(url, http_client=stripe.RequestsClient(session=session))

        def counts():
            pools = adapter.poolmanager.pools
            (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118  # no mapping
            return pool.num_requests, pool.num_connections

        yield client.v1.checkout.sessions, counts


def test_two_calls_of_the_package_use_one_connection(counted):
    sessions, counts = counted

    made = sessions.create(order())
    sessions.retrieve(made.id)

    assert counts() == (2, 1)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 502])
def test_a_refusal_keeps_the_connection(counted, control, status):
    sessions, counts = counted
    control("faults", route="create", kind="status", status=status)

    with pytest.raises(stripe.StripeError):
        sessions.create(order())
    sessions.create(order())

    assert counts() == (2, 1)


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after", "hang"])
def test_a_connection_that_was_dropped_is_not_used_again(counted, control, kind):
    sessions, counts = counted
    sessions.list()
    control("faults", route="create", kind=kind, seconds=0.05)

    with pytest.raises(stripe.APIConnectionError):
        sessions.create(order())
    sessions.create(order())

    assert counts() == (3, 2)


def test_what_a_refused_call_has_sent_is_not_taken_for_the_next(connection):
    body = "GET / HTTP/1.1\r\n\r\n" * 100

    found = answers(
        connection,
        ("POST", "/v1/unknown", body),
        ("DELETE", "/v1/checkout/sessions", body),
        ("HEAD", "/healthz"),
        ("GET", "/static/page.css"),
        ("GET", "/healthz"),
    )

    assert [status for status, _ in found] == [404, 404, 200, 200, 200]
    assert found[2][1] == ""
    assert found[4][1].strip() == '{"status":"ok"}'


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: many", b"411"),
        (b"Content-Length: -1", b"411"),
        (b"Content-Length: 10000001", b"413"),
    ],
)
def test_a_body_whose_end_is_not_told_is_refused(raw, head, status):
    raw.sendall(b"POST /v1/refunds HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")

    answer = b""
    while came := raw.recv(65_536):
        answer += came

    assert answer.startswith(b"HTTP/1.1 " + status)


def test_half_a_call_is_no_call(raw, emulator):
    raw.sendall(b"POST /v1/refunds HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
    raw.shutdown(socket.SHUT_WR)

    assert is_ended(raw)
    assert not emulator.requests


def test_who_wants_no_other_answer_is_told_goodbye(raw):
    raw.sendall(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")

    answer = b""
    while came := raw.recv(65_536):
        answer += came

    assert b"\r\nConnection: close\r\n" in answer


def test_many_connections_are_answered_at_once(emulator):
    port, count = port_of(emulator), 128
    opened = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(count)]
    for _ in range(2):
        for each in opened:
            each.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        statuses = [each.recv(65_536).split(b" ", 2)[1] for each in opened]
        assert statuses == [b"200"] * count
    for each in opened:
        each.close()


@pytest.fixture
def plain():
    """A server of an application of our own, whose `/wait` waits for a gate."""
    app, gate, entered = Flask(__name__), threading.Event(), threading.Event()

    @app.post("/wait")
    def wait():
        entered.set()
        gate.wait(10)
        return request.get_data()

    server = Server(0, app, idle_seconds=0.2)
    listener = threading.Thread(target=server.serve_forever, args=(0.05,))
    listener.start()
    yield server, entered, gate
    gate.set()
    server.stop()
    listener.join()


def test_a_connection_that_idles_is_ended(plain):
    server, _, gate = plain
    gate.set()
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    found = answers(kept, ("POST", "/wait", "a"), ("POST", "/wait", "b"))

    assert found == [(200, "a"), (200, "b")]
    assert is_ended(kept.sock)
    kept.close()


def test_who_is_being_answered_at_the_stop_gets_his_answer(plain):
    server, entered, gate = plain
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    kept.request("POST", "/wait", "a")
    assert entered.wait(10)

    server.stop()
    gate.set()

    assert kept.getresponse().read() == b"a"
    assert is_ended(kept.sock)
    kept.close()


def test_the_stop_waits_for_no_idle_connection():
    emulator = Emulator()
    emulator.start(0)
    kept = [
        http.client.HTTPConnection("127.0.0.1", port_of(emulator), timeout=10)
        for _ in range(3)
    ]
    for each in kept:
        answers(each, ("GET", "/healthz"))
    began = time.monotonic()

    emulator.stop()

    assert time.monotonic() - began < 2
    for each in kept:
        assert is_ended(each.sock)
        each.close()


@pytest.mark.slow
def test_the_process_ends_although_connections_are_open():
    with EmulatorServer() as server:
        kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        answers(kept, ("GET", "/healthz"))
        part = server.part
        assert part is not None

        part.terminate()
        wait_until(lambda: part.poll() is not None, seconds=4, what="the end")

        assert part.returncode == 0
        kept.close()
