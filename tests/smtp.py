"""
A real mail server on 127.0.0.1 for tests, which obeys: it holds, refuses and hangs up.

The steps at which it can be told to: EHLO, MAIL, RCPT, DATA (before it asks for the
text) and DOT (when it has seen all of the letter).
"""

import asyncio
import ssl
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from core.config import Smtp
from tests.emulator import free_port, wait_until

PATIENCE_SECONDS = 20
DROP = "drop"


@dataclass(frozen=True)
class Taken:
    """A letter that is the server's."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.content, policy=default)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class Order:
    """What it is told to do at a step: an answer to give, or DROP; so many times."""

    answer: str
    times: int
    only_for: str


class MailServer:
    """
    `with MailServer() as server:` starts it; *letters* are those that it has taken.

    With a *certificate* (a pem file with its key) it offers STARTTLS, or, if
    *is_encrypted*, speaks TLS from the first byte; *password* is what logs in.
    """

    def __init__(
        self,
        *,
        certificate: str | None = None,
        is_encrypted: bool = False,
        user: str = "",
        password: str = "",
    ) -> None:
        self.port = free_port()
        self.letters: list[Taken] = []
        self.logins: list[str] = []
        self.seen: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self._orders: dict[str, Order] = {}
        self._holds: dict[str, int] = {}
        self._user, self._password = user, password
        self._context = _context(certificate) if certificate else None
        self._is_encrypted = is_encrypted
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._sessions: list[Session] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def settings(self, *, user: str = "", password: str = "") -> Smtp:
        """Return what tells the shop of it."""
        return Smtp("127.0.0.1", self.port, user, password, self._is_encrypted)

    def refuse(
        self, step: str, answer: str, *, times: int = 1, only_for: str = ""
    ) -> None:
        """Give *answer* at *step*, at RCPT perhaps *only_for* one address."""
        self._orders[step] = Order(answer, times, only_for)

    def drop(self, step: str, *, times: int = 1) -> None:
        """Hang up at *step*; at DOT the letter was taken all the same."""
        self._orders[step] = Order(DROP, times, "")

    def hold(self, step: str, *, times: int = 1_000) -> None:
        """Say nothing at *step* until release(*step*)."""
        self._holds[step] = times

    def release(self, step: str) -> None:
        self._holds.pop(step, None)

    def release_all(self) -> None:
        self._holds.clear()

    def wait_for(self, step: str) -> None:
        """Wait until a sender is held at *step*."""
        wait_until(
            lambda: self.waiting[step], seconds=PATIENCE_SECONDS, what=f"a {step}"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            self._session,
            "127.0.0.1",
            self.port,
            ssl=self._context if self._is_encrypted else None,
        )

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for each in self._sessions:
            each.hang_up()
        while any(each.transport for each in self._sessions):
            await asyncio.sleep(0.01)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _session(self) -> SMTP:
        session = Session(
            self,
            hostname="mail.example",
            loop=self._loop,
            tls_context=None if self._is_encrypted else self._context,
            # The library warns of a login that it does not know to be encrypted.
            auth_required=bool(self._password) and not self._is_encrypted,
            auth_require_tls=not self._is_encrypted,
            authenticator=self._log_in,
        )
        self._sessions.append(session)
        return session

    def _log_in(
        self, _server: SMTP, _session: Any, _envelope: Any, _how: str, login: Any
    ) -> AuthResult:
        assert isinstance(login, LoginPassword)
        self.logins.append(login.login.decode())
        known = (self._user.encode(), self._password.encode())
        is_known = (login.login, login.password) == known
        return AuthResult(success=is_known, handled=False)

    async def meet(self, step: str, server: "Session", about: str = "") -> str | None:
        """Do at *step* what was ordered; return the answer to give instead."""
        self.seen[step] += 1
        if self._holds.get(step, 0) > 0:
            self._holds[step] -= 1
            self.waiting[step] += 1
            while step in self._holds:
                await asyncio.sleep(0.01)
            self.waiting[step] -= 1
        order = self._orders.get(step)
        if not order or order.times < 1 or order.only_for not in ("", about):
            return None
        order.times -= 1
        if order.answer == DROP:
            server.hang_up()
            await asyncio.Event().wait()  # its end ends this
        return order.answer

    async def handle_EHLO(  # noqa: N802 (the name that is looked for)
        self,
        server: "Session",
        session: Any,
        _envelope: Any,
        name: str,
        answers: list[str],
    ) -> list[str]:
        session.host_name = name
        refused = await self.meet("EHLO", server)
        return [refused] if refused else answers

    async def handle_MAIL(  # noqa: N802
        self,
        server: "Session",
        _session: Any,
        envelope: Any,
        address: str,
        _options: Any,
    ) -> str:
        envelope.mail_from = address
        return await self.meet("MAIL", server) or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self,
        server: "Session",
        _session: Any,
        envelope: Any,
        address: str,
        _options: Any,
    ) -> str:
        refused = await self.meet("RCPT", server, address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: "Session", _session: Any, envelope: Any
    ) -> str:
        order = self._orders.get("DOT")
        is_refused = order and order.times > 0 and order.answer != DROP
        if not is_refused:
            self.letters.append(
                Taken(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.content)
            )
        return await self.meet("DOT", server) or "250 OK"


class Session(SMTP):
    """One connection; the library has no hook before it asks for the text."""

    def hang_up(self) -> None:
        if self.transport is not None:
            # Of a TLS connection that has just ended there is nothing left to end.
            with suppress(AttributeError):
                self.transport.abort()  # type: ignore[attr-defined]  # sockets have it

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        refused = await self.event_handler.meet("DATA", self)
        if refused:
            await self.push(refused)
            return
        await super().smtp_DATA(arg)


def _context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
