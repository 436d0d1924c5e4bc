"""The security headers, and addresses that no page has."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

from core.config import Config

STRIPE_PAGES = "https://checkout.stripe.com"


def init_app(app: Flask) -> None:
    config: Config = app.extensions["shop"].config
    fixed = {
        "Content-Security-Policy": _policy(config.stripe_api_base),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if config.shop_url.startswith("https://"):
        fixed["Strict-Transport-Security"] = "max-age=31536000"

    def add_headers(response: Response) -> Response:
        response.headers.update(fixed)
        if not (request.endpoint == "static" and response.status_code < 400):
            # Availability changes by the second, and a cart is private.
            response.headers["Cache-Control"] = "no-store"
        return response

    app.before_request(refuse_nul)
    app.after_request(add_headers)


def refuse_nul() -> None:
    """Refuse NUL, which no address of ours has and PostgreSQL cannot store."""
    if "\0" in request.path or any("\0" in value for value in request.args.values()):
        abort(404)


def _policy(stripe_api_base: str | None) -> str:
    # Browsers apply form-action to the redirect after a POST, too: without the payment
    # page here the button would do nothing.
    targets = f"'self' {STRIPE_PAGES}"
    if stripe_api_base:
        parts = urlsplit(stripe_api_base)
        targets += f" {parts.scheme}://{parts.netloc}"
    return (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action {targets}"
    )
