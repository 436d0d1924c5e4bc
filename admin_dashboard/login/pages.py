"""The pages outside the gate: log in, log out, and the health check."""

import asyncio
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from admin_dashboard.login.logins import COOKIE, LONGEST_SECONDS, Logins
from admin_dashboard.login.throttle import Throttle
from admin_dashboard.login.words import words_for

HERE = Path(__file__).parents[1]
FORM_COOKIE = "voorraad_form"
FORM_SECONDS = 3600
MOST_BYTES = 4096
# Each check of a password takes 64 MB for a moment.
CHECKS_AT_ONCE = 2
# An office behind one address may have several owners who mistype.
FREE_BY_OWNER = 5
FREE_BY_ADDRESS = 20
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
# The status of a page by what it tells: a key of the words.
STATUSES = {
    "": 200,
    "wrong": 401,
    "form_ended": 403,
    "too_often": 429,
    "unavailable": 503,
}


class LoginPages:
    """Login and logout, each a page and what its form sends."""

    def __init__(self, logins: Logins, secret_key: str) -> None:
        self._logins = logins
        self._forms = URLSafeTimedSerializer(secret_key, salt="owner-form")
        self._templates = Jinja2Templates(HERE / "templates")
        self._by_owner = Throttle(FREE_BY_OWNER)
        self._by_address = Throttle(FREE_BY_ADDRESS)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    def routes(self) -> list[Route]:
        return [
            Route("/login", self.show_login),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.show_logout),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/healthz", alive),
            Route("/login.css", static_file),
            Route("/favicon.svg", static_file),
        ]

    async def show_login(self, request: Request) -> Response:
        return self._page(request, "login.html")

    async def log_in(self, request: Request) -> Response:
        form = await self._form(request)
        if form is None:
            return self._page(request, "login.html", "form_ended")
        email, password = form.get("email", ""), form.get("password", "")
        address = request.client.host if request.client else ""
        owner = f"{address} {email.strip().lower()}"
        throttles = ((self._by_owner, owner), (self._by_address, address))
        pause = max(throttle.pause(key) for throttle, key in throttles)
        if pause > 0:
            answer = self._page(request, "login.html", "too_often", email)
            answer.headers["Retry-After"] = str(int(pause) + 1)
            return answer
        # Counted before the check, so that a hundred attempts at once count, too.
        for throttle, key in throttles:
            throttle.count(key)
        try:
            async with self._checks:
                cookie = await run_in_threadpool(self._logins.open, email, password)
        except SQLAlchemyError:
            return self._page(request, "login.html", "unavailable", email)
        if cookie is None:
            return self._page(request, "login.html", "wrong", email)
        for throttle, key in throttles:
            throttle.forget(key)
        answer = RedirectResponse("/", 303)
        _set(answer, request, COOKIE, cookie, max_age=LONGEST_SECONDS, samesite="lax")
        return answer

    async def show_logout(self, request: Request) -> Response:
        return self._page(request, "logout.html")

    async def log_out(self, request: Request) -> Response:
        if await self._form(request) is None:
            return self._page(request, "logout.html", "form_ended")
        self._logins.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return answer

    def _page(
        self, request: Request, template: str, problem: str = "", email: str = ""
    ) -> Response:
        words = words_for(request.headers.get("accept-language", ""))
        # Kept if it is there, so that two open tabs do not invalidate each other.
        number = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(16)
        answer = self._templates.TemplateResponse(
            request,
            template,
            {
                "words": words,
                "problem": words.get(problem),
                "email": email,
                "csrf_token": self._forms.dumps(number),
            },
            status_code=STATUSES[problem],
            headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"},
        )
        _set(answer, request, FORM_COOKIE, number, samesite="strict")
        return answer

    async def _form(self, request: Request) -> dict[str, str] | None:
        """Return the fields that our own page sent; None if it was not our page."""
        if not _is_from_here(request):
            return None
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        try:
            number = self._forms.loads(form.get("csrf_token", ""), max_age=FORM_SECONDS)
        except BadData:
            return None
        own = request.cookies.get(FORM_COOKIE, "")
        return form if secrets.compare_digest(str(number), own) else None


def _is_from_here(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _set(answer: Response, request: Request, key: str, value: str, **how: Any) -> None:
    is_https = request.url.scheme == "https"
    answer.set_cookie(key, value, httponly=True, secure=is_https, **how)


async def alive(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def static_file(request: Request) -> Response:
    return FileResponse(HERE / "static" / Path(request.url.path).name)
