"""
The shop's settings, read once from the environment and checked.

Without STRIPE_SECRET_KEY the shop is a demo: it talks to the Stripe emulator and makes
its own secrets, kept in files in DATA_DIR. With a live key nothing is made up: what is
missing stops the start.
"""

import math
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import getaddresses
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.errors import ConfigError
from core.payments.offer import (
    DELAYED_METHODS,
    MOST_SHIPPING_OPTIONS,
    Offer,
    ShippingOption,
)

LIVE_REQUIRES = (
    "SECRET_KEY",
    "SHOP_URL",
    "DATABASE_URL",
    "STRIPE_WEBHOOK_SECRET",
    "CRON_SECRET",
)
# Stripe lets a session live 24 hours at most, and it must outlive the hold.
LONGEST_HOLD_MINUTES = 23 * 60


@dataclass(frozen=True)
class Limits:
    """Upper bounds against hoarding; 0 means none."""

    quantity_per_product: int = 0
    holds_per_visitor: int = 0
    holds_per_address: int = 0
    checkouts_per_minute: int = 600


@dataclass(frozen=True)
class Smtp:
    """
    The server that takes the shop's letters.

    *is_encrypted* from the first byte (smtps://); otherwise STARTTLS is asked for, and
    a password is never sent without it.
    """

    host: str
    port: int
    user: str
    password: str
    is_encrypted: bool


@dataclass(frozen=True)
class Config:
    """Everything that the environment says about this shop."""

    data_dir: Path
    database_url: str
    secret_key: str
    shop_url: str
    storefront_port: int
    dashboard_port: int
    stripe_emulator_port: int
    stripe_secret_key: str
    stripe_webhook_secret: str
    stripe_api_base: str | None
    is_demo: bool
    hold_for: timedelta
    cleanup_interval_seconds: int
    cron_secret: str
    owner_email: str
    owner_password: str | None
    limits: Limits
    timezone: ZoneInfo
    offer: Offer
    delayed_payment_for: timedelta
    reconcile_interval_seconds: int
    smtp: Smtp | None
    mail_from: str

    @property
    def is_live(self) -> bool:
        """Whether real money moves: the Stripe key is a live one."""
        return is_live_key(self.stripe_secret_key)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Config":
        """
        Read and check every setting; safe to repeat.

        In demo and test mode missing secrets are made once and kept in DATA_DIR.
        Raises ConfigError, which names the variable.
        """
        env = _Environment(environ)
        data_dir = Path(env.text("DATA_DIR", "var")).absolute()
        key = env.text("STRIPE_SECRET_KEY", "")
        api_base = env.url("STRIPE_API_BASE", None)
        _check_key(key, api_base)
        if is_live_key(key):
            env.require(LIVE_REQUIRES)
        port = env.port("STOREFRONT_PORT", 8000)
        emulator_port = env.port("STRIPE_EMULATOR_PORT", 8420)
        shop_url = env.url("SHOP_URL", f"http://127.0.0.1:{port}") or ""
        if not key and api_base is None:
            api_base = f"http://127.0.0.1:{emulator_port}"
        return cls(
            data_dir=data_dir,
            database_url=_database_url(env, data_dir),
            secret_key=env.secret("SECRET_KEY", data_dir),
            shop_url=shop_url,
            storefront_port=port,
            dashboard_port=env.port("DASHBOARD_PORT", 8501),
            stripe_emulator_port=emulator_port,
            stripe_secret_key=key or "sk_test_demo",
            stripe_webhook_secret=env.secret("STRIPE_WEBHOOK_SECRET", data_dir),
            stripe_api_base=api_base,
            is_demo=not key,
            hold_for=timedelta(
                minutes=env.decimal(
                    "RESERVATION_MINUTES", 15, 0.05, LONGEST_HOLD_MINUTES
                )
            ),
            cleanup_interval_seconds=env.number("CLEANUP_INTERVAL_SECONDS", 5, 1, 3600),
            cron_secret=env.secret("CRON_SECRET", data_dir),
            owner_email=_owner_email(env),
            owner_password=env.text("OWNER_PASSWORD", "") or None,
            limits=_limits(env),
            timezone=ZoneInfo("Europe/Amsterdam"),
            offer=_offer(env, shop_url),
            delayed_payment_for=timedelta(
                days=env.number("DELAYED_PAYMENT_DAYS", 14, 1, 60)
            ),
            reconcile_interval_seconds=env.number(
                "RECONCILE_INTERVAL_SECONDS", 30, 1, 86_400
            ),
            smtp=_smtp(env),
            mail_from=_mail_from(env, shop_url),
        )


def is_live_key(key: str) -> bool:
    """Tell whether *key* moves real money (sk_live_ or rk_live_)."""
    return bool(re.match(r"(sk|rk)_live_", key))


class _Environment:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str, default: str) -> str:
        return self.environ.get(name, "").strip() or default

    def require(self, names: tuple[str, ...]) -> None:
        for name in names:
            if not self.text(name, ""):
                raise ConfigError(name, "must be set when the Stripe key is live")

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ConfigError(
                name, f"{text!r} is not a whole number from {least} to {most}"
            )
        return int(text)

    def decimal(self, name: str, default: float, least: float, most: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:  # false for nan, too
            raise ConfigError(name, f"{text!r} is not a number from {least} to {most}")
        return value

    def names(self, name: str) -> list[str]:
        return [each.strip() for each in self.text(name, "").split(",") if each.strip()]

    def is_on(self, name: str) -> bool:
        text = self.text(name, "no").lower()
        if text not in ("yes", "no"):
            raise ConfigError(name, f"{text!r} is neither yes nor no")
        return text == "yes"

    def port(self, name: str, default: int) -> int:
        return self.number(name, default, 1, 65535)

    def url(self, name: str, default: str | None) -> str | None:
        text = self.text(name, "").rstrip("/")
        if not text:
            return default
        try:
            parts = urlsplit(text)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_address = is_address and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ConfigError(name, f"{text!r} is not an http or https address")
        return text

    def secret(self, name: str, data_dir: Path) -> str:
        return self.text(name, "") or _kept_secret(data_dir, name)


def _check_key(key: str, api_base: str | None) -> None:
    if key and not re.match(r"(sk|rk)_(test|live)_.", key):
        raise ConfigError(
            "STRIPE_SECRET_KEY",
            "is no secret key (sk_test_, rk_test_, sk_live_ or rk_live_)",
        )
    if is_live_key(key) and api_base is not None:
        raise ConfigError("STRIPE_API_BASE", "is accepted only with a test key")


def _kept_secret(data_dir: Path, name: str) -> str:
    """
    Return the secret of this name in *data_dir*, made at the first call.

    Several programs may start at once: the first one wins.
    """
    path = data_dir / name.lower().replace("_", "-")
    if not path.exists():
        keep(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def keep(path: Path, secret: str) -> None:
    """
    Write *secret* to a file that only its owner can read, unless it is there already.

    It appears whole or not at all. Raises ConfigError when DATA_DIR cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(f"{secret}\n")
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    except OSError as error:
        raise ConfigError(
            "DATA_DIR", f"cannot write {path.name} there: {error.strerror}"
        ) from error


def _database_url(env: _Environment, data_dir: Path) -> str:
    url = env.text("DATABASE_URL", "")
    if not url:
        return f"sqlite:///{data_dir / 'voorraad.db'}"
    return checked_database_url(url)


def checked_database_url(url: str) -> str:
    """
    Return a database's address as the shop uses it; opens nothing.

    A relative path becomes absolute. Raises ConfigError, which names no password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The address itself may hold a password, so it is not repeated.
        raise ConfigError("DATABASE_URL", "is no database address") from error
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return _postgresql_url(parsed.set(drivername="postgresql+psycopg"))
    if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise ConfigError(
            "DATABASE_URL",
            "must begin with sqlite:/// and a file, or postgresql+psycopg://",
        )
    # Flask-SQLAlchemy and SQLAlchemy read a relative path differently.
    absolute = Path(parsed.database).absolute()
    return parsed.set(database=str(absolute)).render_as_string(hide_password=False)


def _postgresql_url(url: URL) -> str:
    from psycopg.pq import Conninfo  # a shop on SQLite need not load it

    try:
        _, options = url.get_dialect()().create_connect_args(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("DATABASE_URL", "is no database address") from error
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    if unknown := sorted(options.keys() - known):
        raise ConfigError("DATABASE_URL", f"has an unknown option, {unknown[0]}")
    if "," in options.get("host", "") and "target_session_attrs" not in options:
        # All hosts but one are standbys, where nothing can be reserved.
        url = url.update_query_dict({"target_session_attrs": "read-write"})
    return url.render_as_string(hide_password=False)


def _owner_email(env: _Environment) -> str:
    email = env.text("OWNER_EMAIL", "owner@localhost")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise ConfigError("OWNER_EMAIL", f"{email!r} is not an e-mail address")
    return email


def _limits(env: _Environment) -> Limits:
    most = 1_000_000
    return Limits(
        quantity_per_product=env.number("MAX_QUANTITY_PER_PRODUCT", 0, 0, most),
        holds_per_visitor=env.number("MAX_HOLDS_PER_VISITOR", 0, 0, most),
        holds_per_address=env.number("MAX_HOLDS_PER_ADDRESS", 0, 0, most),
        checkouts_per_minute=env.number("MAX_CHECKOUTS_PER_MINUTE", 600, 0, most),
    )


def _offer(env: _Environment, shop_url: str) -> Offer:
    allowed = env.names("DELAYED_PAYMENT_METHODS")
    if unknown := [name for name in allowed if name not in DELAYED_METHODS]:
        raise ConfigError(
            "DELAYED_PAYMENT_METHODS",
            f"{unknown[0]!r} is not one of {', '.join(DELAYED_METHODS)}",
        )
    return Offer(
        shop_url=shop_url,
        excluded_methods=tuple(m for m in DELAYED_METHODS if m not in allowed),
        promotion_codes=env.is_on("PROMOTION_CODES"),
        shipping_countries=_countries(env),
        shipping_options=_shipping_options(env),
        asks_phone=env.is_on("ASK_PHONE"),
        asks_terms=env.is_on("ASK_TERMS"),
    )


def _countries(env: _Environment) -> tuple[str, ...]:
    name = "SHIPPING_COUNTRIES"
    countries = tuple(dict.fromkeys(each.upper() for each in env.names(name)))
    if not countries:
        return ()
    from core.payments.countries import SHIPPED_TO

    for country in countries:
        if country not in SHIPPED_TO:
            raise ConfigError(
                name, f"{country!r} is not a country that Stripe knows, such as NL"
            )
    return countries


def _shipping_options(env: _Environment) -> tuple[ShippingOption, ...]:
    name = "SHIPPING_OPTIONS"
    options = []
    for given in env.names(name):
        label, _, cents = given.rpartition("=")
        if not label.strip() or not re.fullmatch(r"[0-9]{1,7}", cents.strip()):
            raise ConfigError(name, f"{given!r} is not a name=cents such as PostNL=495")
        options.append(ShippingOption(label.strip(), int(cents)))
    if len(options) > MOST_SHIPPING_OPTIONS:
        raise ConfigError(name, f"has more than {MOST_SHIPPING_OPTIONS} options")
    if len({option.name for option in options}) < len(options):
        raise ConfigError(name, "has two options of one name")
    return tuple(options)


def _smtp(env: _Environment) -> Smtp | None:
    name = "SMTP_URL"
    text = env.text(name, "")
    if not text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    # The address may hold a password, so it is not repeated.
    # What follows a slash is the rest of a password that was not written as %2F.
    is_whole = parts.path in ("", "/") and not parts.query and not parts.fragment
    is_known = parts.scheme in ("smtp", "smtps") and parts.hostname and port != 0
    if not is_known or not is_whole or not parts.hostname:
        raise ConfigError(name, "is no address such as smtp://user:password@host:587")
    is_encrypted = parts.scheme == "smtps"
    return Smtp(
        host=parts.hostname,
        port=port or (465 if is_encrypted else 587),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        is_encrypted=is_encrypted,
    )


def _mail_from(env: _Environment, shop_url: str) -> str:
    host = urlsplit(shop_url).hostname or "localhost"
    sender = env.text("MAIL_FROM", f"Voorraad <shop@{host}>")
    addresses = [address for _, address in getaddresses([sender])]
    is_one = len(addresses) == 1 and re.fullmatch(r"[^@\s]+@[^@\s]+", addresses[0])
    if not is_one or not sender.isprintable():
        raise ConfigError("MAIL_FROM", f"{sender!r} is no sender such as a@b.example")
    if env.text("SMTP_URL", "") and not env.text("MAIL_FROM", ""):
        raise ConfigError("MAIL_FROM", "must be set together with SMTP_URL")
    return sender
