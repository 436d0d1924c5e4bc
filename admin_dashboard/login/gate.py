"""
The gate in front of everything that Streamlit serves.

Invariant: without an open login neither pages nor files nor the websocket give
anything, and an open websocket is closed when its login ends.
"""

import logging

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
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
            await self._http(scope, receive, _with_headers(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._app
        if scope["path"] not in OPEN_PATHS:
            try:
                if not await self._is_open(scope):
                    answer = _refusal(scope["path"])
            except SQLAlchemyError:
                logger.exception("the login could not be checked")
                answer = _unavailable()
        await answer(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            is_open = await self._is_open(scope)
        except SQLAlchemyError:
            logger.exception("the login could not be checked")
            is_open = False
        if not is_open:
            await WebSocketClose(LOGIN_ENDED)(scope, receive, send)
            return

        async def receive_while_open() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive" or await self._stays_open(scope):
                return message
            await send({"type": "websocket.close", "code": LOGIN_ENDED})
            return {"type": "websocket.disconnect", "code": LOGIN_ENDED}

        await self._app(scope, receive_while_open, send)

    async def _is_open(self, scope: Scope) -> bool:
        cookie = HTTPConnection(scope).cookies.get(COOKIE, "")
        return await run_in_threadpool(self._logins.is_open, cookie)

    async def _stays_open(self, scope: Scope) -> bool:
        try:
            return await self._is_open(scope)
        except SQLAlchemyError:
            # The page has no data either, and says so.
            return True


def _refusal(path: str) -> Response:
    if path.startswith(MACHINE_PATHS):
        # A page whose login has ended shows the sentence if it comes as JSON.
        return JSONResponse(LOGGED_OUT, status_code=401)
    return RedirectResponse("/login", 303)


def _unavailable() -> Response:
    return PlainTextResponse(
        "De database van de winkel is nu niet bereikbaar. Probeer het zo weer.",
        status_code=503,
        headers={"Retry-After": "5"},
    )


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
