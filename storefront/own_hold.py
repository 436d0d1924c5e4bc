"""The visitor's own hold: every page says what is held for them, and until when."""

from collections.abc import Callable
from datetime import datetime

from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from core.stock import holds
from core.stock.holds import HoldView
from storefront import visit
from storefront.extensions import current_shop, db


def current() -> HoldView | None:
    """Return the visitor's open checkout; who has none so far costs no query."""
    visitor = visit.visitor_id()
    if not visitor:
        return None
    return holds.open_hold(db.session(), visitor, current_shop().clock())


def units(hold: HoldView | None, product_id: int) -> int:
    """Return how many units of a product are held for the visitor."""
    return hold.units.get(product_id, 0) if hold else 0


def seconds_left(moment: datetime) -> float:
    """Return the seconds until then by the shop's clock; the visitor's may be wrong."""
    return (moment - current_shop().clock()).total_seconds()


def init_app(app: Flask) -> None:
    app.add_template_filter(seconds_left)

    @app.context_processor
    def bar() -> dict[str, Callable[[], HoldView | None]]:
        # Asked by the page itself, as one whose view knows the hold need not ask.
        return {"own_hold": _if_known}


def _if_known() -> HoldView | None:
    try:
        return current()
    except (OperationalError, NoConnectionError):
        # A page that needs no database, such as "not found", is answered without it.
        return None
