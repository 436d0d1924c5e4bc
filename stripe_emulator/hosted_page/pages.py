"""The routes of the payment page: plain HTML, Dutch or English, no script."""

from typing import cast
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from stripe_emulator.checkout import discounts, payers, sessions, shipping
from stripe_emulator.hosted_page.form import chosen, payer_in, prefilled, shown_total
from stripe_emulator.hosted_page.words import WORDS, countries, delivery, price
from stripe_emulator.money import payments
from stripe_emulator.serving import customer
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError


def blueprint(parts: Parts) -> Blueprint:
    pages = Blueprint(
        "hosted",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )

    @pages.get("/")
    def overview() -> Response:
        with parts.account.mutex:
            newest = list(parts.account.tables["sessions"].values())[:-21:-1]
            rows = [(dict(row), _state(parts, row)) for row in newest]
        return _rendered("overview.html", _language(None), rows=rows)

    @pages.get("/c/pay/<session_id>")
    def show(session_id: str) -> Response:
        return _page(parts, session_id)

    @pages.post("/c/pay/<session_id>")
    def act(session_id: str) -> BaseResponse:
        try:
            return _act(parts, session_id, request.form.get("action", "pay"))
        except payments.SessionClosedError:
            return _page(parts, session_id, status=409)
        except ApiError as error:
            return _refused(parts, session_id, error)

    return pages


def _act(parts: Parts, session_id: str, action: str) -> BaseResponse:
    if action in ("succeed", "fail"):
        customer.settle(parts, session_id, cast(payments.Outcome, action))
        return redirect(request.path, 303)
    session = _choose(parts, session_id, action)
    if action in ("update", "apply", "remove"):
        return _page(parts, session_id)
    payer = payer_in(session)
    method = request.form.get("method", "card")
    if method not in session["payment_method_types"]:
        raise ApiError(f"{method} is not offered for this session")
    if action == "decline":
        with parts.account.mutex:
            payments.decline(parts.account, session_id, method, payer)
        return _page(parts, session_id, message="declined")
    customer.complete(parts, session_id, method, payer, expected=shown_total())
    return redirect(_filled(session["success_url"], session_id), 303)


def _choose(parts: Parts, session_id: str, action: str) -> Json:
    """Apply the choices on the page, whichever button was pressed."""
    rate, code = chosen()
    if action == "apply" and not code:
        raise discounts.RefusedCodeError("unknown")
    with parts.account.mutex:
        session = customer.choose(parts, session_id, rate=rate, code=code)
        if action == "remove":
            discounts.remove(parts.account, session)
        return dict(session)


def _refused(parts: Parts, session_id: str, error: ApiError) -> Response:
    if isinstance(error, payments.AmountChangedError):
        return _page(parts, session_id, message="changed")
    if isinstance(error, discounts.RefusedCodeError):
        return _page(parts, session_id, code_message=f"code_{error.reason}")
    message = error.message
    if isinstance(error, payers.IncompleteError):
        message = f"ask_{error.reason}"
    return _page(parts, session_id, message=message, status=400)


def _session(parts: Parts, session_id: str) -> Json:
    with parts.account.mutex:
        parts.end_due()
        return dict(parts.account.get("sessions", session_id))


def _page(
    parts: Parts,
    session_id: str,
    *,
    message: str = "",
    code_message: str = "",
    status: int = 200,
) -> Response:
    """Messages are keys of WORDS; any other text is shown as it is."""
    try:
        session = _session(parts, session_id)
    except ApiError:
        language = _language(None)
        return _rendered("closed.html", language, state="unknown", status=404)
    with parts.account.mutex:
        state = _state(parts, session)
        lines = list(sessions.line_items(parts.account, session))
        rates = shipping.rates_of(parts.account, session)
        discount = discounts.code_of(parts.account, session)
    language = _language(session)
    words = WORDS[language]
    return _rendered(
        "pay.html" if state == "open" else "closed.html",
        language,
        status=status,
        session=session,
        state=state,
        lines=lines,
        rates=rates,
        discount=discount,
        message=words.get(message, message),
        code_message=words.get(code_message, code_message),
        typed_code=chosen()[1] or "",
        asks=_asks(session),
        countries=countries(payers.countries(session), language),
        payer=prefilled(session),
        chosen_method=request.form.get("method"),
        success_url=_filled(session["success_url"], session_id),
    )


def _asks(session: Json) -> set[str]:
    questions = {
        "address": payers.asks_address(session),
        "shipping": session["shipping_address_collection"] is not None,
        "phone": payers.asks_phone(session),
        "terms": payers.asks_terms(session),
    }
    return {name for name, is_asked in questions.items() if is_asked}


def _state(parts: Parts, session: Json) -> str:
    if session["status"] != "complete":
        return str(session["status"])
    if session["payment_status"] != "unpaid":
        return "paid"
    intent = parts.account.get("payment_intents", session["payment_intent"])
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
        delivery=lambda rate: delivery(rate["delivery_estimate"], language),
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
    """The CSP; browsers also check form-action on a redirect, so it has the shop."""
    targets = ["'self'"]
    if isinstance(session, dict):
        parts = urlsplit(session["success_url"])
        targets.append(f"{parts.scheme}://{parts.netloc}")
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {' '.join(targets)}"
    )
