"""The shop's pages, its API and its command line."""

import logging
import os
from datetime import timedelta

import click
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

import storefront.checkout_pages  # noqa: F401 (adds its routes to the pages)
from core.config import Config
from core.database.engine import Database, engine_options
from core.errors import ConfigError
from core.shop import Shop
from storefront import (
    address,
    api,
    health,
    language,
    own_hold,
    pages,
    problems,
    safety,
    static_files,
)
from storefront.commands import cli
from storefront.extensions import Sessions, babel, compress, csrf, db

# An event from Stripe takes some kilobytes, a cart far less.
LARGEST_REQUEST_BYTES = 256 * 1024
COMPRESSED = (
    "text/html",
    "text/css",
    "text/javascript",
    "application/json",
    "image/svg+xml",
)


def create_app(config: Config | None = None) -> Flask:
    """Build the application; connects and starts nothing. Raises ConfigError."""
    config = config or _config()
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    for talkative in ("alembic", "stripe"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    app = Flask("storefront", static_folder=None)
    app.config.update(_settings(config))
    if app.config["SESSION_COOKIE_SECURE"]:
        # Served on 127.0.0.1 only, behind a proxy that names the client.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]  # as Flask's documentation does it
    app.session_interface = Sessions()
    # First, so that it packs what all others have put into an answer.
    compress.init_app(app)
    static_files.init_app(app)
    address.init_app(app, config.shop_url)
    db.init_app(app)
    csrf.init_app(app)
    babel.init_app(app, locale_selector=language.choose)
    with app.app_context():
        app.extensions["shop"] = Shop.open(config, on=Database(db.engine))
    for part in (language, own_hold, safety, problems, cli):
        part.init_app(app)
    for blueprint in (health.blueprint, api.blueprint, pages.blueprint):
        app.register_blueprint(blueprint)
    csrf.exempt(api.blueprint)
    return app


def _settings(config: Config) -> dict[str, object]:
    return {
        "SECRET_KEY": config.secret_key,
        "SQLALCHEMY_DATABASE_URI": config.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(config.database_url),
        "MAX_CONTENT_LENGTH": LARGEST_REQUEST_BYTES,
        "MAX_FORM_MEMORY_SIZE": LARGEST_REQUEST_BYTES,
        "SESSION_COOKIE_NAME": "voorraad",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": config.shop_url.startswith("https://"),
        "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
        # Forms stay valid as long as the visit: shoppers leave tabs open for hours.
        "WTF_CSRF_TIME_LIMIT": None,
        "COMPRESS_MIMETYPES": COMPRESSED,
        # As small as the others for pages of a few kB, quicker, and known everywhere.
        "COMPRESS_ALGORITHM": ("gzip",),
        "BABEL_DEFAULT_LOCALE": "nl",
        "BABEL_DEFAULT_TIMEZONE": config.timezone.key,
    }


def _config() -> Config:
    try:
        return Config.from_env(os.environ)
    except ConfigError as error:
        if click.get_current_context(silent=True) is None:
            raise
        # On the command line one sentence is enough.
        raise click.ClickException(str(error)) from error
