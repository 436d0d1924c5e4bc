"""The headers that keep strangers' scripts, frames and caches out."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

from storefront.extensions import current_shop

STRIPE_PAGES = "https://checkout.stripe.com"


def init_app(app: Flask) -> None:
    app.before_request(refuse_nul)
    app.after_request(add_headers)


def refuse_nul() -> None:
    """Turn away a character that no address of ours has and PostgreSQL refuses."""
    if "\0" in request.path or any("\0" in value for value in request.args.values()):
        abort(404)


def add_headers(response: Response) -> Response:
    headers = response.headers
    headers["Content-Security-Policy"] = _policy()
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    if current_shop().config.shop_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint != "static":
        # Availability is true for a moment, and a cart is nobody else's business.
        headers["Cache-Control"] = "no-store"
    return response


def _policy() -> str:
    # A browser applies form-action to the redirect after a POST, too: the payment page
    # must be named, or the button does nothing.
    targets = ["'self'", STRIPE_PAGES]
    if base := current_shop().config.stripe_api_base:
        parts = urlsplit(base)
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
