"""The page on which a customer pays: plain HTML, Dutch or English, no script."""

import re
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from stripe_emulator import payments, sessions
from stripe_emulator.account import Json
from stripe_emulator.checkout_page import DEMO_PAYER, complete
from stripe_emulator.errors import ApiError
from stripe_emulator.words import WORDS, price

if TYPE_CHECKING:
    from stripe_emulator.emulator import Emulator

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+\.[^@\s]+")
_ADDRESS = ("line1", "postal_code", "city", "country")


def blueprint(emulator: "Emulator") -> Blueprint:
    pages = Blueprint("hosted", __name__)

    @pages.get("/")
    def overview() -> Response:
        with emulator.account.mutex:
            newest = list(emulator.account.tables["sessions"].values())[:-21:-1]
            rows = [(dict(row), _state(emulator, row)) for row in newest]
        return _rendered("overview.html", _language(None), rows=rows)

    @pages.get("/c/pay/<session_id>")
    def show(session_id: str) -> Response:
        return _page(emulator, session_id)

    @pages.post("/c/pay/<session_id>")
    def act(session_id: str) -> BaseResponse:
        try:
            return _act(emulator, session_id, request.form.get("action", "pay"))
        except payments.SessionClosedError:
            return _page(emulator, session_id, status=409)
        except ApiError as error:
            return _page(emulator, session_id, message=error.message, status=400)

    return pages


def _act(emulator: "Emulator", session_id: str, action: str) -> BaseResponse:
    if action in ("succeed", "fail"):
        return _settle(emulator, session_id, cast(payments.Outcome, action))
    session = _session(emulator, session_id)
    payer = _payer(session)
    if not payer["name"] or not _EMAIL.fullmatch(payer["email"]):
        words = WORDS[_language(session)]
        return _page(emulator, session_id, message=words["incomplete"], status=400)
    method = request.form.get("method", "card")
    if method not in session["payment_method_types"]:
        raise ApiError(f"{method} is not offered for this session")
    if action == "decline":
        with emulator.account.mutex:
            payments.decline(emulator.account, session_id, method, payer)
        message = WORDS[_language(session)]["declined"]
        return _page(emulator, session_id, message=message)
    complete(emulator, session_id, method, payer)
    return redirect(_filled(session["success_url"], session_id), 303)


def _settle(
    emulator: "Emulator", session_id: str, outcome: payments.Outcome
) -> BaseResponse:
    emulator.barriers.wait("settle", session_id, after=False)
    with emulator.account.mutex:
        event = payments.settle(emulator.account, session_id, outcome)
    emulator.webhooks.wait_for(event["id"], 10)
    return redirect(request.path, 303)


def _session(emulator: "Emulator", session_id: str) -> Json:
    with emulator.account.mutex:
        emulator.end_due()
        return dict(emulator.account.get("sessions", session_id))


def _payer(session: Json) -> Json:
    payer = {name: request.form.get(name, "").strip() for name in ("email", "name")}
    if session["shipping_address_collection"]:
        address = {name: request.form.get(name, "").strip() for name in _ADDRESS}
        return payer | {"address": address | {"line2": None, "state": None}}
    return payer


def _page(
    emulator: "Emulator", session_id: str, *, message: str = "", status: int = 200
) -> Response:
    try:
        session = _session(emulator, session_id)
    except ApiError:
        language = _language(None)
        return _rendered("closed.html", language, state="unknown", status=404)
    with emulator.account.mutex:
        state = _state(emulator, session)
        lines = list(sessions.line_items(emulator.account, session))
    return _rendered(
        "pay.html" if state == "open" else "closed.html",
        _language(session),
        status=status,
        session=session,
        state=state,
        lines=lines,
        message=message,
        payer=_prefilled(session),
        success_url=_filled(session["success_url"], session_id),
    )


def _prefilled(session: Json) -> Json:
    payer = {"email": session["customer_email"] or DEMO_PAYER["email"]}
    payer["name"] = DEMO_PAYER["name"]
    return payer | {n: request.form[n] for n in payer if n in request.form}


def _state(emulator: "Emulator", session: Json) -> str:
    if session["status"] != "complete":
        return str(session["status"])
    if session["payment_status"] != "unpaid":
        return "paid"
    intent = emulator.account.get("payment_intents", session["payment_intent"])
    return "waiting" if intent["status"] == "processing" else "failed"


def _filled(url: str, session_id: str) -> str:
    return url.replace("{CHECKOUT_SESSION_ID}", session_id)


def _language(session: Json | None) -> str:
    """The session's language, else the browser's; anything but Dutch is English."""
    wanted = (session or {}).get("locale") or "auto"
    if wanted == "auto":
        return request.accept_languages.best_match(["nl", "en"], "en")
    return "nl" if wanted == "nl" else "en"


def _rendered(
    template: str, language: str, *, status: int = 200, **values: object
) -> Response:
    page = render_template(
        template,
        words=WORDS[language],
        language=language,
        price=lambda amount, currency: price(amount, currency, language),
        **values,
    )
    response = Response(page, status, content_type="text/html; charset=utf-8")
    session = values.get("session")
    response.headers["Content-Security-Policy"] = _policy(session)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _policy(session: object) -> str:
    """Browsers check form-action on the redirect, too: the shop must be in it."""
    targets = ["'self'"]
    if isinstance(session, dict):
        parts = urlsplit(session["success_url"])
        targets.append(f"{parts.scheme}://{parts.netloc}")
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {' '.join(targets)}"
    )
