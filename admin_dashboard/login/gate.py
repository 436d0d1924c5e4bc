"""
The gate in front of everything that Streamlit serves.

Invariant: without an open login neither pages nor files nor the websocket give
anything, and an open websocket is closed when its login ends.
"""

import logging

from sqlalchemy.exc import SQLAlchemyError
from starlette import responses
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from admin_dashboard.login.logins import COOKIE, LOGGED_OUT, Logins

OPEN_PATHS = ("/login", "/logout", "/healthz", "/login.css", "/favicon.svg")
# Not for people: a redirect to a page would mislead a program.
MACHINE_PATHS = ("/_stcore/", "/static/", "/media/", "/component/", "/app/static/")
LOGIN_ENDED = 4401
# Streamlit sets inline styles, and its charts compile expressions.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " font-src 'self' data:; worker-src 'self' blob:; object-src 'none';"
    " base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)

logger = logging.getLogger(__name__)


class Gate:
    def __init__(self, app: ASGIApp, logins: Logins) -> None:
        self._app = app
        self._logins = logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            answer = self._app
            if scope["path"] not in OPEN_PATHS:
                answer = await self._answer(scope)
            await answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: Scope) -> ASGIApp:
        is_open = await self._is_open(scope)
        if is_open is None:
            return responses.PlainTextResponse(
                "De database van de winkel is nu niet bereikbaar. Probeer het zo weer.",
                status_code=503,
                headers={"Retry-After": "5"},
            )
        if is_open:
            return self._app
        if scope["path"].startswith(MACHINE_PATHS):
            # A page whose login has ended shows the sentence if it comes as JSON.
            return responses.JSONResponse(LOGGED_OUT, status_code=401)
        return responses.RedirectResponse("/login", 303)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await self._is_open(scope):
            await WebSocketClose(LOGIN_ENDED)(scope, receive, send)
            return

        async def receive_while_open() -> Message:
            message = await receive()
            # While the database cannot tell, the page has no data either and says so.
            is_sent = message["type"] == "websocket.receive"
            if not is_sent or await self._is_open(scope) is not False:
                return message
            await send({"type": "websocket.close", "code": LOGIN_ENDED})
            return {"type": "websocket.disconnect", "code": LOGIN_ENDED}

        await self._app(scope, receive_while_open, send)

    async def _is_open(self, scope: Scope) -> bool | None:
        """Tell whether the login is open; None if the database cannot be reached."""
        cookie = HTTPConnection(scope).cookies.get(COOKIE, "")
        try:
            return await run_in_threadpool(self._logins.is_open, cookie)
        except SQLAlchemyError:
            logger.exception("the login could not be checked")
            return None


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Content-Security-Policy", POLICY)
            headers["X-Frame-Options"] = "DENY"
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
        await send(message)

    return send_with_headers
