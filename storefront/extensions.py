"""The Flask extensions; create_app gives them to the application."""

from flask import Flask, current_app, request
from flask.sessions import SecureCookieSessionInterface
from flask_babel import Babel
from flask_compress import Compress
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from itsdangerous import URLSafeTimedSerializer

from core.checkout import tries
from core.models.base import Base
from core.shop import Shop

db = SQLAlchemy(metadata=Base.metadata)
csrf = CSRFProtect()
babel = Babel()
compress = Compress()


class Sessions(SecureCookieSessionInterface):
    """Flask's own sessions, with one signer for all requests, not two for each."""

    _signer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the signer of the cookie; the application's key never changes."""
        self._signer = self._signer or super().get_signing_serializer(app)
        return self._signer


def current_shop() -> Shop:
    shop: Shop = current_app.extensions["shop"]
    return shop


def count_checkout() -> None:
    """Count a try to check out. Raises TooManyTriesError after too many."""
    tries.count(current_shop(), request.remote_addr or "")
