"""
The shop has one address, SHOP_URL: one host and one scheme.

The cart is in a cookie of that host, and payment pages lead back to it. Who shopped at
another name of the machine would come back without a cart, and their units would stay
held. So pages at another address lead to the shop's own, and nothing else is answered
there, but for what machines ask of this process: monitors, Stripe and cron jobs.
"""

import logging
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from flask import Flask, Response, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from storefront import problems

logger = logging.getLogger(__name__)

MISDIRECTED = 421
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
FOR_MACHINES = ("api.webhook", "api.clean_up")
MOST_HOSTS_NOTED = 20


def init_app(app: Flask, shop_url: str) -> None:
    """Hold requests to *shop_url*; before anything else looks at them."""
    own = urlsplit(shop_url)
    # What url_for makes without a request, or with a strange one, is the shop's, too.
    app.config.update(SERVER_NAME=own.netloc, PREFERRED_URL_SCHEME=own.scheme)
    names = {own.netloc, own.netloc + DEFAULT_PORTS[own.scheme]}
    app.before_request(_holding(shop_url, own.scheme, names))


def _holding(
    shop_url: str, scheme: str, names: set[str]
) -> Callable[[], AnyResponse | None]:
    noted: set[str] = set()

    def hold() -> AnyResponse | None:
        if _is_for_machines() or (_has_scheme(scheme) and _has_host(names)):
            return None
        if len(noted) < MOST_HOSTS_NOTED and request.host not in noted:
            noted.add(request.host)
            logger.warning(
                "asked at %s, but the shop is at %s; a proxy must pass on the Host",
                request.host,
                shop_url,
            )
        if request.method in ("GET", "HEAD") and not request.path.startswith("/api/"):
            return _lead_to(shop_url)
        return _refuse(shop_url)

    return hold


def _is_for_machines() -> bool:
    return request.blueprint == "health" or request.endpoint in FOR_MACHINES


def _has_scheme(scheme: str) -> bool:
    # A proxy that does not say how it was asked would be led in a circle.
    is_told = scheme == "http" or "X-Forwarded-Proto" in request.headers
    return not is_told or request.scheme == scheme


def _has_host(names: set[str]) -> bool:
    host = request.host.lower()
    return host in names or _is_of_a_proxy(host)


def _is_of_a_proxy(host: str) -> bool:
    """Tell whether a proxy asks by the address at which it reaches this process."""
    if "X-Forwarded-For" not in request.headers:
        return False
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _lead_to(shop_url: str) -> AnyResponse:
    path = quote(request.path, safe="/:@!$&'()*+,;=~")
    query = request.query_string.decode("latin-1")
    answer = redirect(shop_url + path + (f"?{query}" if query else ""), 308)
    # SHOP_URL may be corrected: browsers would remember a wrong one for ever.
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _refuse(shop_url: str) -> Response:
    detail = f"the shop is at {shop_url}, and answers nowhere else"
    told = _("The shop is at %(address)s. Nothing was changed.", address=shop_url)
    return problems.answer(MISDIRECTED, detail, {}, on_page=told)
