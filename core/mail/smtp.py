"""
Handing a letter to a mail server, so that it is known whether the server has it.

The server takes the letter when it sees the dot, on a line of its own, that ends the
text. Between the dot and the server's answer nobody can tell: a sender that loses the
connection there and sends again may send twice, and one that does not may not have sent
at all (RFC 1047). So *send_text* stops before the dot, and *complete* sends it. A
caller that notes in between that the dot comes next knows of every letter without that
note that it was never taken.
"""

import re
import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address

from core.config import Smtp, ascii_host

# Patience for each answer up to the dot. A longer wait would outlive the claim.
STEP_SECONDS = 15
# RFC 5321 (4.5.3.2.6) asks for this much patience after the dot: a sender that hangs up
# sooner cannot know whether the letter was taken.
ANSWER_SECONDS = 600
READY_FOR_TEXT = 354
_PLAIN_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]+@[\w.-]+", re.ASCII)


class NotTakenError(Exception):
    """The server has not taken the letter; *is_final* if it never will."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class NobodyKnowsError(Exception):
    """The connection was lost between the dot and the answer to it."""


class Connection:
    """
    A connection for one letter, opened by send_text(); close() it in any case.

    *our_name* is the host that the shop says it is. *before_step* is called before each
    answer that may take long; an error that it raises ends the attempt.
    """

    def __init__(
        self, server: Smtp, *, our_name: str, before_step: Callable[[], None]
    ) -> None:
        self._server = server
        self._our_name = our_name
        self._before_step = before_step
        self._smtp: smtplib.SMTP | None = None

    def send_text(self, sender: str, recipients: Sequence[str], text: bytes) -> str:
        """
        Send all of a letter but the dot; return what was said of refused recipients.

        Raises NotTakenError, also when all recipients are refused; one of several that
        is refused does not keep the letter from the others.
        """
        try:
            smtp = self._open()
            self._log_in(smtp)
            self._step(smtp, "the sender", f"MAIL FROM:<{sender}>", 250)
            left_out = self._address(smtp, recipients)
            self._step(smtp, "the letter", "DATA", READY_FOR_TEXT)
            smtp.send(_quoted(text))
        except (OSError, UnicodeError) as error:  # smtplib's errors are OSErrors
            raise NotTakenError(_words(error)) from error
        return left_out

    def complete(self) -> None:
        """
        Send the dot and wait for the answer; return if the letter was taken.

        Raises NotTakenError if the server refuses it, NobodyKnowsError if there is no
        clear answer.
        """
        smtp = self._smtp
        if smtp is None or smtp.sock is None:
            raise NotTakenError("the connection was closed")
        smtp.sock.settimeout(ANSWER_SECONDS)
        try:
            smtp.send(b".\r\n")
            code, said = smtp.getreply()
        except OSError as error:
            raise NobodyKnowsError(_words(error)) from error
        if 200 <= code < 300:
            with suppress(OSError):
                smtp.sock.settimeout(STEP_SECONDS)
                smtp.quit()
            return
        if not 400 <= code < 600:
            raise NobodyKnowsError(_reply(code, said))
        raise NotTakenError(_reply(code, said), is_final=code >= 500)

    def close(self) -> None:
        """Hang up; a letter whose dot was not sent is not taken."""
        if self._smtp is not None:
            self._smtp.close()

    def _open(self) -> smtplib.SMTP:
        server = self._server
        self._before_step()
        connect: Callable[..., smtplib.SMTP] = smtplib.SMTP
        if server.is_encrypted:
            # The library's own context would accept any certificate.
            tls = ssl.create_default_context()
            connect = partial(smtplib.SMTP_SSL, context=tls)
        self._smtp = smtp = connect(
            server.host,
            server.port,
            local_hostname=_greeting(self._our_name),
            timeout=STEP_SECONDS,
        )
        self._before_step()
        smtp.ehlo_or_helo_if_needed()
        if not server.is_encrypted and smtp.has_extn("starttls"):
            smtp.starttls(context=_context(server))
            smtp.ehlo_or_helo_if_needed()
        return smtp

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        server = self._server
        if not server.user:
            return
        if not isinstance(smtp.sock, ssl.SSLSocket):
            raise NotTakenError("the server offers no encryption: no password is sent")
        self._before_step()
        try:
            smtp.login(server.user, server.password)
        except UnicodeError as error:
            # Its words would quote the password.
            raise NotTakenError("the login has letters that are not ASCII") from error
        except smtplib.SMTPAuthenticationError as error:
            # The server's words are left out: they may repeat the password.
            raise NotTakenError(f"the login was refused ({error.smtp_code})") from error

    def _step(self, smtp: smtplib.SMTP, what: str, command: str, expected: int) -> None:
        self._before_step()
        code, said = smtp.docmd(command)
        if code != expected:
            # The settings may be wrong: a new try may help once they are corrected.
            raise NotTakenError(f"{what} was refused: {_reply(code, said)}")

    def _address(self, smtp: smtplib.SMTP, recipients: Sequence[str]) -> str:
        replies = []
        for recipient in recipients:
            self._before_step()
            replies.append(smtp.docmd(f"RCPT TO:<{recipient}>"))
        refused = [each for each in replies if each[0] not in (250, 251)]
        left_out = "; ".join(_reply(*each) for each in refused)
        if len(refused) == len(recipients):
            is_final = all(500 <= code < 600 for code, _ in refused)
            raise NotTakenError(left_out, is_final=is_final)
        return left_out


def ascii_address(address: str) -> str:
    """
    Return *address* as every server understands it: its domain in ASCII.

    Raises NotTakenError, a final one, if no letter can be sent there.
    """
    name, _, domain = address.strip().rpartition("@")
    try:
        plain = f"{name}@{ascii_host(domain)}"
    except UnicodeError:
        plain = ""
    if not _PLAIN_ADDRESS.fullmatch(plain):
        reason = "the address is none that a letter can be sent to"
        raise NotTakenError(reason, is_final=True)
    return plain


def _context(server: Smtp) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not server.user:
        # Encryption that an attacker could have switched off proves no identity, and a
        # relay on the same machine has a self-signed certificate (RFC 7435).
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _greeting(host: str) -> str:
    try:
        number = ip_address(host)
    except ValueError:
        return host
    return f"[IPv6:{number}]" if number.version == 6 else f"[{number}]"


def _quoted(text: bytes) -> bytes:
    text = text.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    # A line that begins with a dot gets a second one, which the server removes.
    return re.sub(rb"^\.", b"..", text, flags=re.MULTILINE).replace(b"\n", b"\r\n")


def _reply(code: int, said: bytes) -> str:
    words = " ".join(said.decode("utf-8", "replace").split())
    return f"{code} {words}"[:500]


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        said = said if isinstance(said, bytes) else said.encode()
        return _reply(error.smtp_code, said)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
