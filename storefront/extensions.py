"""The Flask extensions, made once and given to the application by create_app."""

from flask import current_app, request
from flask_babel import Babel
from flask_limiter import Limiter
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from core.models import Base
from core.shop import Shop

db = SQLAlchemy(metadata=Base.metadata)
csrf = CSRFProtect()
babel = Babel()


def visitor_address() -> str:
    return request.remote_addr or ""


# Counted by each worker for itself: several workers allow as many times the limit.
limiter = Limiter(key_func=visitor_address, storage_uri="memory://")


def current_shop() -> Shop:
    shop: Shop = current_app.extensions["shop"]
    return shop


def _checkout_limit() -> str:
    return f"{current_shop().config.limits.checkouts_per_minute} per minute"


def _has_no_checkout_limit() -> bool:
    return not current_shop().config.limits.checkouts_per_minute


limit_checkouts = limiter.shared_limit(
    _checkout_limit, scope="checkout", exempt_when=_has_no_checkout_limit
)
