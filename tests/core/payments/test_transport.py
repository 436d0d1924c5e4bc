"""What happens on the wire between the shop and Stripe."""

import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import stripe

from core.errors import PaymentUnavailableError
from core.payments.data import SessionLine, SessionRequest
from core.payments.gateway import StripeGateway
from core.payments.offer import Offer
from core.payments.retry import Retries
from core.payments.transport import NoAnswerError, Transport, environment_proxy
from tests.emulator import EmulatorServer, free_port, wait_until

API = "https://api.stripe.com"
SESSION = (
    b'{"object": "checkout.session", "id": "cs_1", "status": "open",'
    b' "payment_status": "unpaid"}'
)
Conversation = Callable[[socket.socket], None]


class Listener:
    """Holds the same *conversation* on every connection, and counts them."""

    def __init__(self, conversation: Conversation) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self.ended = 0
        self._conversation = conversation
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.address}"

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(
                    target=self._talk, args=(connection,), daemon=True
                ).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with suppress(OSError), connection:
            self._conversation(connection)
        self.ended += 1


@contextmanager
def listening(conversation: Conversation) -> Iterator[Listener]:
    listener = Listener(conversation)
    try:
        yield listener
    finally:
        listener.stop()


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        came = connection.recv(1)
        if not came:
            raise ConnectionError
        head += came
    return head


def say(status: str, body: bytes = SESSION, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answer_all(connection: socket.socket) -> None:
    while True:
        read_head(connection)
        connection.sendall(say("200 OK"))


def answer_once(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(say("200 OK"))


def say_nothing(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def reset(connection: socket.socket) -> None:
    read_head(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer_by_half(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(say("200 OK")[:-1])


def answer_nonsense(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def transport(ca_file: str = "", **options: str | None) -> Transport:
    return Transport(
        ca_file or stripe.ca_bundle_path,
        connect_seconds=3,
        read_seconds=0.5,
        proxy=options.get("proxy"),
    )


def get(url: str, sent_by: Transport | None = None) -> tuple[bytes, int]:
    body, status, _ = (sent_by or transport()).send("get", f"{url}/v1/x", {}, None)
    return body, status


@pytest.fixture
def request_(now: datetime) -> SessionRequest:
    return SessionRequest(
        checkout_id=7,
        idempotency_key="checkout-7",
        lines=(SessionLine("Theepot", 4595, "eur", 1),),
        expires_at=now + timedelta(minutes=34),
        locale="nl",
        notice="",
        offer=Offer("http://127.0.0.1:8000"),
    )


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give an environment that names no proxy yet."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "conversation", [say_nothing, reset, answer_by_half, answer_nonsense]
)
def test_an_answer_that_does_not_come_may_come_the_next_time(
    conversation: Conversation,
) -> None:
    with listening(conversation) as stripe_, pytest.raises(NoAnswerError) as lost:
        get(stripe_.url)

    assert lost.value.may_pass


def test_nobody_there_may_be_somebody_the_next_time() -> None:
    with pytest.raises(NoAnswerError) as lost:
        get(f"http://127.0.0.1:{free_port()}")

    assert lost.value.may_pass


def test_an_address_that_is_none_is_not_tried_again() -> None:
    with pytest.raises(NoAnswerError) as lost:
        get("http://[nonsense")

    assert not lost.value.may_pass


def test_two_calls_use_one_connection() -> None:
    with listening(answer_all) as stripe_:
        kept = transport()
        answers = [get(stripe_.url, kept) for _ in range(2)]

    assert answers == [(SESSION, 200)] * 2
    assert stripe_.connections == 1


def test_the_gateway_keeps_its_connection() -> None:
    with listening(answer_all) as stripe_:
        gateway = StripeGateway("sk_test_x", "whsec_x", stripe_.url)
        found = [gateway.retrieve("cs_1") for _ in range(3)]

    assert {session.id for session in found if session} == {"cs_1"}
    assert stripe_.connections == 1


def test_threads_share_connections() -> None:
    with listening(answer_all) as stripe_:
        shared = transport()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: get(stripe_.url, shared), range(80)))

    assert answers == [(SESSION, 200)] * 80
    assert stripe_.connections <= 8


def test_a_connection_that_stripe_has_ended_is_replaced_unnoticed() -> None:
    with listening(answer_once) as stripe_:
        kept = transport()
        get(stripe_.url, kept)
        wait_until(lambda: stripe_.ended == 1)

        assert get(stripe_.url, kept) == (SESSION, 200)
        assert stripe_.connections == 2


def test_a_redirect_takes_the_key_nowhere() -> None:
    with listening(answer_all) as elsewhere:

        def send_there(connection: socket.socket) -> None:
            read_head(connection)
            there = f"Location: {elsewhere.url}"
            connection.sendall(say("302 Found", b"", there))

        with listening(send_there) as stripe_:
            assert get(stripe_.url) == (b"", 302)

        assert elsewhere.connections == 0


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b"<html>", b'"object"'])
def test_an_answer_that_is_no_object_of_stripes_proves_nothing(
    request_: SessionRequest, body: bytes
) -> None:
    def answer(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(say("200 OK", body))

    with listening(answer) as stripe_:
        gateway = StripeGateway("sk_test_x", "whsec_x", stripe_.url)
        with pytest.raises(PaymentUnavailableError):
            gateway.create(request_, retries=Retries())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a certificate for 127.0.0.1 that nobody but itself vouches for."""
    if shutil.which("openssl") is None and not os.environ.get("CI"):
        pytest.skip("there is no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-keyout", str(file), "-out", f"{file}.crt", "-days", "1"),
            *("-subj", "/CN=a stranger", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    with file.open("a") as both:
        both.write(Path(f"{file}.crt").read_text())
    return file


@pytest.fixture
def stranger(certificate: Path) -> Iterator[Listener]:
    """Give a server that speaks TLS under the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            read_head(secured)
            secured.sendall(say("200 OK"))

    with listening(answer) as listener:
        yield listener


def test_a_certificate_that_nobody_vouches_for_is_refused(stranger: Listener) -> None:
    with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED") as refusal:
        get(f"https://{stranger.address}")

    assert not refusal.value.may_pass


def test_a_certificate_of_another_name_is_refused(
    stranger: Listener, certificate: Path
) -> None:
    port = stranger.address.rpartition(":")[2]
    with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED") as refusal:
        get(f"https://localhost:{port}", transport(f"{certificate}.crt"))

    assert not refusal.value.may_pass


def test_a_certificate_that_is_vouched_for_is_accepted(
    stranger: Listener, certificate: Path
) -> None:
    vouched = transport(f"{certificate}.crt")

    assert get(f"https://{stranger.address}", vouched) == (SESSION, 200)


def test_the_gateway_verifies_too(stranger: Listener, request_: SessionRequest) -> None:
    gateway = StripeGateway("sk_test_x", "whsec_x", f"https://{stranger.address}")

    with pytest.raises(PaymentUnavailableError):
        gateway.create(request_)

    assert stranger.connections == 1


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".stripe.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": ""}, None),
    ],
)
def test_the_environment_names_the_proxy(
    environment: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)

    assert environment_proxy(API) == proxy


def test_stripe_is_asked_through_the_proxy_that_was_named_at_the_start(
    environment: pytest.MonkeyPatch, request_: SessionRequest
) -> None:
    heads = []

    def refuse(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(say("403 Forbidden", b""))

    with listening(refuse) as proxy:
        environment.setenv("HTTPS_PROXY", f"http://me:a%20word@{proxy.address}")
        gateway = StripeGateway("sk_test_x", "whsec_x")
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(PaymentUnavailableError):
            gateway.create(request_, retries=Retries())

    (head,) = heads
    assert head.startswith(b"CONNECT api.stripe.com:443 ")
    assert b"\r\nproxy-authorization: basic bwu6ysb3b3jk\r\n" in head.lower()
    assert b"sk_test_x" not in head


def test_a_stand_in_is_asked_without_a_proxy(
    environment: pytest.MonkeyPatch, stripe: EmulatorServer, request_: SessionRequest
) -> None:
    with listening(answer_all) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            environment.setenv(name, proxy.url)
        page = StripeGateway("sk_test_x", "whsec_x", stripe.url).create(request_)

        assert page.status == "open"
        assert proxy.connections == 0
