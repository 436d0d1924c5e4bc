import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import Smtp
from core.mail.smtp import Connection, NotTakenError, ascii_address
from tests.smtp import MailServer

TEXT = b"Subject: Hallo\r\n\r\nDag\r\n.punt\r\n"
USER, PASSWORD = "shop@voorraad.example", "secret: 1@/"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a pem file with a key and its certificate for 127.0.0.1."""
    path = str(tmp_path_factory.mktemp("tls") / "both.pem")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mail.example"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", *words.split(), *names, "-keyout", path, "-out", f"{path}.crt"],
        check=True,
        capture_output=True,
    )
    with Path(path).open("a") as both:
        both.write(Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def trusted(certificate: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the certificate, known as one to be trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    return certificate


def deliver(server: Smtp) -> str:
    """Send a letter; return what was said of recipients left out."""
    connection = Connection(
        server, our_name="voorraad.example", before_step=lambda: None
    )
    try:
        left_out = connection.send_text("a@x.example", ["b@x.example"], TEXT)
        connection.complete()
    finally:
        connection.close()
    return left_out


def refusal(server: Smtp) -> NotTakenError:
    with pytest.raises(NotTakenError) as caught:
        deliver(server)
    return caught.value


def test_a_letter_needs_no_password_where_none_is_set() -> None:
    with MailServer() as server:
        deliver(server.settings())

    (taken,) = server.letters
    assert taken.content == TEXT
    assert taken.recipients == ("b@x.example",)


def test_a_server_that_knows_no_ehlo_gets_its_letters_all_the_same() -> None:
    with MailServer() as server:
        server.refuse("EHLO", "502 What?")
        deliver(server.settings())

    assert len(server.letters) == 1


def test_a_password_is_sent_over_starttls(trusted: str) -> None:
    with MailServer(certificate=trusted, user=USER, password=PASSWORD) as server:
        deliver(server.settings(user=USER, password=PASSWORD))

    assert server.logins == [USER]
    assert len(server.letters) == 1


def test_a_password_is_sent_over_a_connection_encrypted_from_the_start(
    trusted: str,
) -> None:
    with MailServer(
        certificate=trusted, is_encrypted=True, user=USER, password=PASSWORD
    ) as server:
        deliver(server.settings(user=USER, password=PASSWORD))

    assert server.logins == [USER]
    assert len(server.letters) == 1


def test_no_password_is_sent_where_no_encryption_is_offered() -> None:
    with MailServer() as server:
        error = refusal(server.settings(user=USER, password=PASSWORD))

    assert error.reason == "the server offers no encryption: no password is sent"
    assert not error.is_final
    assert server.logins == []


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_no_password_is_sent_to_a_server_with_a_strange_certificate(
    certificate: str, is_encrypted: bool
) -> None:
    with MailServer(
        certificate=certificate,
        is_encrypted=is_encrypted,
        user=USER,
        password=PASSWORD,
    ) as server:
        error = refusal(server.settings(user=USER, password=PASSWORD))

    assert "certificate verify failed" in error.reason
    assert not error.is_final
    assert server.logins == []


def test_no_password_is_sent_to_a_server_of_another_name(trusted: str) -> None:
    with MailServer(certificate=trusted, user=USER, password=PASSWORD) as server:
        settings = server.settings(user=USER, password=PASSWORD)
        error = refusal(replace(settings, host="localhost"))

    assert "certificate verify failed" in error.reason
    assert server.logins == []


def test_a_relay_without_a_password_may_have_a_certificate_of_its_own(
    certificate: str,
) -> None:
    with MailServer(certificate=certificate) as server:
        deliver(server.settings())

    assert len(server.letters) == 1


def test_a_wrong_password_is_told_without_its_words(trusted: str) -> None:
    with MailServer(certificate=trusted, user=USER, password="other") as server:
        error = refusal(server.settings(user=USER, password=PASSWORD))

    assert error.reason == "the login was refused (535)"
    assert not error.is_final


def test_a_password_that_cannot_be_sent_is_told_without_its_words(
    trusted: str,
) -> None:
    with MailServer(certificate=trusted, user=USER, password=PASSWORD) as server:
        error = refusal(server.settings(user=USER, password="geheim €"))

    assert error.reason == "the login has letters that are not ASCII"
    assert not error.is_final


def test_lines_that_begin_with_a_dot_arrive_as_they_were() -> None:
    text = b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n"
    with MailServer() as server:
        connection = Connection(
            server.settings(), our_name="x.example", before_step=lambda: None
        )
        connection.send_text("a@x.example", ["b@x.example"], text)
        connection.complete()
        connection.close()

    assert server.letters[0].content == text


def test_a_letter_is_not_taken_before_its_dot() -> None:
    with MailServer() as server:
        connection = Connection(
            server.settings(), our_name="x.example", before_step=lambda: None
        )
        connection.send_text("a@x.example", ["b@x.example"], TEXT)
        connection.close()

        deliver(server.settings())
    assert len(server.letters) == 1
    assert server.seen["DATA"] == 2


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("a.b+c@klant.example", "a.b+c@klant.example"),
        (" a@KLANT.example ", "a@KLANT.example"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        # By the rules of 2003 this was another's: strasse.example.
        ("joerg@straße.example", "joerg@xn--strae-oqa.example"),
        ("a@FAß.example", "a@xn--fa-hia.example"),
    ],
)
def test_an_address_is_written_as_servers_know_it(given: str, plain: str) -> None:
    assert ascii_address(given) == plain


@pytest.mark.parametrize(
    "given",
    [
        *("", "a", "@x.example", "a@", "a b@x.example", "<a@x.example>"),
        *(
            "a@💩.example",
            "a@ex\u200dample.nl",
            "a@ü..example",
            "a@" + "ß" * 70 + ".nl",
        ),
        *("a,b@x.example", "é@x.example", "a@b@x.example", "a@x.example\r\nDATA"),
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(NotTakenError) as caught:
        ascii_address(given)

    assert caught.value.is_final
