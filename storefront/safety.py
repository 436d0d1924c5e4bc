"""The headers that keep strangers' scripts, frames and caches out."""

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
        for name, value in fixed.items():
            response.headers[name] = value
        if request.endpoint != "static":
            # Availability is true for a moment, and a cart is nobody else's business.
            response.headers["Cache-Control"] = "no-store"
        return response

    app.before_request(refuse_nul)
    app.after_request(add_headers)


def refuse_nul() -> None:
    """Turn away a character that no address of ours has and PostgreSQL refuses."""
    if "\0" in request.path or any("\0" in value for value in request.args.values()):
        abort(404)


def _policy(stripe_api_base: str | None) -> str:
    # A browser applies form-action to the redirect after a POST, too: the payment page
    # must be named, or the button does nothing.
    targets = ["'self'", STRIPE_PAGES]
    if stripe_api_base:
        parts = urlsplit(stripe_api_base)
        targets.append(f"{parts.scheme}://{parts.netloc}")
    return "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            f"form-action {' '.join(targets)}",
        )
    )
