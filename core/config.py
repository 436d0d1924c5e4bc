"""
The shop's settings, read once from the environment and checked.

Without STRIPE_SECRET_KEY the shop is a demo: it talks to the Stripe emulator. Missing
secrets are generated and kept in files in DATA_DIR. With a live key nothing is
generated: what is missing stops the start.
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
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo

import idna
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
    *("SECRET_KEY", "SHOP_URL", "DATABASE_URL"),
    *("STRIPE_WEBHOOK_SECRET", "CRON_SECRET"),
)
# Stripe lets a session live 24 hours at most, and it must outlive the hold.
LONGEST_HOLD_MINUTES = 23 * 60
PORTS = (1, 65535)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST = 1_000_000
RATE = re.compile(r"([0-9]{1,3})(?:[.,]([0-9]{1,2}))?\s*%?")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True)
class Limits:
    """
    Upper bounds against hoarding; 0 means none (docs/security.md has the reasons).

    An address stands for its network. *share_per_address* is percent of a product's
    units, *unpaid_holds* how many of a visitor's holds may end unpaid in a day before
    the next one has to wait. *counts_loopback* if loopback addresses are networks, too.
    """

    quantity_per_product: int = 0
    holds_per_visitor: int = 3
    holds_per_address: int = 40
    share_per_address: int = 50
    unpaid_holds: int = 3
    checkouts_per_minute: int = 600
    counts_loopback: bool = False


@dataclass(frozen=True)
class Vat:
    """
    The rate of products that have none of their own, in basis points.

    *is_exempt* for a shop that charges no VAT at all: the Dutch KOR for small shops.
    """

    default_bp: int = 2100
    is_exempt: bool = False

    def rate(self, chosen_bp: int | None) -> int:
        """Return the rate in basis points of a product with this one of its own."""
        if self.is_exempt:
            return 0
        return self.default_bp if chosen_bp is None else chosen_bp


@dataclass(frozen=True)
class Smtp:
    """
    The mail server.

    *is_encrypted* from the first byte (smtps://); otherwise STARTTLS is used if the
    server has it, and a password is never sent without it.
    """

    host: str
    port: int
    user: str
    password: str
    is_encrypted: bool


@dataclass(frozen=True)
class Config:
    """All settings; Config.from_env reads them."""

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
    vat: Vat
    delayed_payment_for: timedelta
    reconcile_interval_seconds: int
    smtp: Smtp | None
    mail_from: str

    @property
    def is_live(self) -> bool:
        """Whether real money moves: the Stripe key is a live one."""
        return is_live_key(self.stripe_secret_key)

    @property
    def is_public(self) -> bool:
        """Whether customers come from other machines: SHOP_URL names no loopback."""
        return urlsplit(self.shop_url).hostname not in LOOPBACK

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Config":
        """
        Read and check every setting; safe to repeat.

        In demo and test mode missing secrets are generated once and kept in DATA_DIR.
        Raises ConfigError, which names the variable.
        """
        env = _Environment(environ)
        data_dir = Path(env.text("DATA_DIR", "var")).absolute()
        key, api_base = _stripe(env)
        port = env.number("STOREFRONT_PORT", 8000, *PORTS)
        emulator_port = env.number("STRIPE_EMULATOR_PORT", 8420, *PORTS)
        if not key and not api_base:
            api_base = f"http://127.0.0.1:{emulator_port}"
        shop_url = _shop_url(env, f"http://127.0.0.1:{port}")
        file = URL.create("sqlite", database=str(data_dir / "voorraad.db"))
        database = env.text("DATABASE_URL", file.render_as_string())
        minutes = env.decimal("RESERVATION_MINUTES", 15, 0.05, LONGEST_HOLD_MINUTES)
        days = env.number("DELAYED_PAYMENT_DAYS", 14, 1, 60)
        reconcile_interval = env.number("RECONCILE_INTERVAL_SECONDS", 30, 1, 86_400)
        return cls(
            data_dir=data_dir,
            database_url=checked_database_url(database),
            secret_key=env.secret("SECRET_KEY", data_dir),
            shop_url=shop_url,
            storefront_port=port,
            dashboard_port=env.number("DASHBOARD_PORT", 8501, *PORTS),
            stripe_emulator_port=emulator_port,
            stripe_secret_key=key or "sk_test_demo",
            stripe_webhook_secret=env.secret("STRIPE_WEBHOOK_SECRET", data_dir),
            stripe_api_base=api_base or None,
            is_demo=not key,
            hold_for=timedelta(minutes=minutes),
            cleanup_interval_seconds=env.number("CLEANUP_INTERVAL_SECONDS", 5, 1, 3600),
            cron_secret=env.secret("CRON_SECRET", data_dir),
            owner_email=_owner_email(env),
            owner_password=env.text("OWNER_PASSWORD") or None,
            limits=_limits(env),
            timezone=ZoneInfo("Europe/Amsterdam"),
            offer=_offer(env, shop_url),
            vat=_vat(env),
            delayed_payment_for=timedelta(days=days),
            reconcile_interval_seconds=reconcile_interval,
            smtp=_smtp(env),
            mail_from=_mail_from(env, shop_url),
        )


def basis_points(text: str) -> int | None:
    """
    Read a rate such as 21, 9.5 or 9,5%; None if it is none.

    Neither is one between 0 and 1 per cent: 0.21 is 21 % to many, and not to all.
    """
    match = RATE.fullmatch(text)
    if match is None:
        return None
    rate = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    return rate if rate == 0 or 100 <= rate <= 10_000 else None


def is_live_key(key: str) -> bool:
    """Tell whether *key* moves real money (sk_live_ or rk_live_)."""
    return key.startswith(("sk_live_", "rk_live_"))


class _Environment:
    """The variables, stripped; a blank one is as good as none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "").strip() or default

    def names(self, name: str) -> list[str]:
        return [each.strip() for each in self.text(name).split(",") if each.strip()]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name, str(default))
        is_fit = re.fullmatch("[0-9]{1,9}", text) and least <= int(text) <= most
        _require(is_fit, name, text, f"a whole number from {least} to {most}")
        return int(text)

    def decimal(self, name: str, default: float, least: float, most: float) -> float:
        text, value = self.text(name, str(default)), math.nan
        with suppress(ValueError):
            value = float(text)
        is_fit = least <= value <= most  # false for nan, too
        _require(is_fit, name, text, f"a number from {least} to {most}")
        return value

    def is_on(self, name: str) -> bool:
        text = self.text(name, "no")
        if text.lower() not in ("yes", "no"):
            raise ConfigError(name, f"{text!r} is neither yes nor no")
        return text.lower() == "yes"

    def url(self, name: str, default: str = "") -> str:
        text = self.text(name, default).rstrip("/")
        is_fit = not text or _split(text, "http", "https")
        _require(is_fit, name, text, "an http or https address")
        return text

    def secret(self, name: str, data_dir: Path) -> str:
        """Return the secret; if it is not set, the kept one, generated if need be."""
        if text := self.text(name):
            return text
        path = data_dir / name.lower().replace("_", "-")
        if not path.exists():
            keep(path, secrets.token_urlsafe(32))
        return path.read_text().strip()


def _require(is_fit: object, name: str, given: str, expected: str) -> None:
    if not is_fit:
        raise ConfigError(name, f"{given!r} is not {expected}")


def _split(address: str, *schemes: str) -> SplitResult | None:
    """Split an address; None unless it has one of *schemes*, a host and no bad port."""
    try:
        parts = urlsplit(address)
        is_known = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_known else None


def keep(path: Path, secret: str) -> None:
    """
    Write *secret* to a file that only its owner can read, unless it is there already.

    It appears whole or not at all, and of programs that start at once the first one
    wins. Raises ConfigError when DATA_DIR cannot be written.
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
        problem = f"cannot write {path.name} there: {error.strerror}"
        raise ConfigError("DATA_DIR", problem) from error


def _stripe(env: _Environment) -> tuple[str, str]:
    """Return Stripe's key and the address of its API, each "" if it is not set."""
    key, api_base = env.text("STRIPE_SECRET_KEY"), env.url("STRIPE_API_BASE")
    if key and not re.match(r"(sk|rk)_(test|live)_.", key):
        expected = "a secret key (sk_test_…, rk_test_…, sk_live_… or rk_live_…)"
        raise ConfigError("STRIPE_SECRET_KEY", f"must be {expected}")
    if is_live_key(key):
        if api_base:
            raise ConfigError("STRIPE_API_BASE", "is accepted only with a test key")
        for name in LIVE_REQUIRES:
            if not env.text(name):
                raise ConfigError(name, "must be set when the Stripe key is live")
    return key, api_base


def checked_database_url(url: str) -> str:
    """
    Return a database's address as the shop uses it; opens nothing.

    A relative path becomes absolute. Raises ConfigError, which names no password.
    """
    # The address may hold a password, so it is not repeated.
    expected = "must be sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgresql+psycopg"):
            return _postgresql_url(parsed.set(drivername="postgresql+psycopg"))
    except (ArgumentError, ValueError) as error:
        raise ConfigError("DATABASE_URL", expected) from error
    if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise ConfigError("DATABASE_URL", expected)
    if "?" in url and not parsed.query:
        # SQLAlchemy drops what follows: the database would be in another folder.
        raise ConfigError("DATABASE_URL", "a ? in the path is written as %3F")
    # Flask-SQLAlchemy and SQLAlchemy read a relative path differently.
    absolute = Path(parsed.database).absolute()
    return parsed.set(database=str(absolute)).render_as_string(hide_password=False)


def _postgresql_url(url: URL) -> str:
    from psycopg.pq import Conninfo  # a shop on SQLite need not load it

    _, options = url.get_dialect()().create_connect_args(url)
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    if unknown := sorted(options.keys() - known):
        raise ConfigError("DATABASE_URL", f"has an unknown option, {unknown[0]}")
    if "," in options.get("host", "") and "target_session_attrs" not in options:
        # All hosts but one are standbys, where nothing can be reserved.
        url = url.update_query_dict({"target_session_attrs": "read-write"})
    return url.render_as_string(hide_password=False)


def _shop_url(env: _Environment, default: str) -> str:
    """Return the shop's address as browsers write it: no path, an ASCII host."""
    text = env.url("SHOP_URL", default)
    parts = urlsplit(text)
    rest = (parts.path, parts.query, parts.fragment, parts.username or "")
    expected = "a whole address without a path, such as https://shop.example"
    _require(
        not any(rest) and not text.endswith(("?", "#")), "SHOP_URL", text, expected
    )
    host = parts.hostname or ""
    try:
        host = ascii_host(host)
    except UnicodeError as error:
        raise ConfigError("SHOP_URL", f"{text!r}: {error}") from error
    if ":" in host:
        host = f"[{host}]"
    default_port = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, default_port) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def ascii_host(host: str) -> str:
    """
    Return a host as browsers and mail servers write it, in ASCII.

    By IDNA 2008 (RFC 5891): straße.example is another host than strasse.example, for
    which the codec of Python, of 2003, takes it. Raises UnicodeError for what is none.
    """
    if host.isascii():
        return host.encode("idna").decode()  # only looks at the lengths
    return idna.encode(host, uts46=True).decode()


def _owner_email(env: _Environment) -> str:
    owner = env.text("OWNER_EMAIL", "owner@localhost")
    _require(EMAIL.fullmatch(owner), "OWNER_EMAIL", owner, "an email address")
    return owner


def _limits(env: _Environment) -> Limits:
    return Limits(
        quantity_per_product=env.number("MAX_QUANTITY_PER_PRODUCT", 0, 0, MOST),
        holds_per_visitor=env.number("MAX_HOLDS_PER_VISITOR", 3, 0, MOST),
        holds_per_address=env.number("MAX_HOLDS_PER_ADDRESS", 40, 0, MOST),
        share_per_address=env.number("MAX_SHARE_PER_ADDRESS", 50, 0, 100),
        unpaid_holds=env.number("MAX_UNPAID_HOLDS", 3, 0, MOST),
        checkouts_per_minute=env.number("MAX_CHECKOUTS_PER_MINUTE", 600, 0, MOST),
        # Who sets it by hand knows that visitors come from where the shop is.
        counts_loopback=env.text("MAX_HOLDS_PER_ADDRESS") not in ("", "0"),
    )


def _offer(env: _Environment, shop_url: str) -> Offer:
    allowed = env.names("DELAYED_PAYMENT_METHODS")
    known = ", ".join(DELAYED_METHODS)
    for method in allowed:
        is_known = method in DELAYED_METHODS
        _require(is_known, "DELAYED_PAYMENT_METHODS", method, f"one of {known}")
    return Offer(
        shop_url=shop_url,
        excluded_methods=tuple(m for m in DELAYED_METHODS if m not in allowed),
        promotion_codes=env.is_on("PROMOTION_CODES"),
        shipping_countries=_countries(env),
        shipping_options=_shipping_options(env),
        asks_phone=env.is_on("ASK_PHONE"),
        asks_terms=env.is_on("ASK_TERMS"),
        is_vat_exempt=_vat(env).is_exempt,
    )


def _vat(env: _Environment) -> Vat:
    text = env.text("VAT_PERCENT", "21")
    rate = basis_points(text)
    expected = "a rate such as 21, 9 or 0, with at most two decimals"
    _require(rate is not None, "VAT_PERCENT", text, expected)
    return Vat(default_bp=rate or 0, is_exempt=env.is_on("VAT_EXEMPT"))


def _countries(env: _Environment) -> tuple[str, ...]:
    name = "SHIPPING_COUNTRIES"
    countries = tuple(dict.fromkeys(each.upper() for each in env.names(name)))
    if not countries:
        return ()
    from core.payments.countries import SHIPPED_TO  # takes a while to load

    for country in countries:
        _require(country in SHIPPED_TO, name, country, "a country code of Stripe's")
    return countries


def _shipping_options(env: _Environment) -> tuple[ShippingOption, ...]:
    name = "SHIPPING_OPTIONS"
    options = {}
    for given in env.names(name):
        label, _, cents = map(str.strip, given.rpartition("="))
        is_fit = label and re.fullmatch("[0-9]{1,7}", cents)
        _require(is_fit, name, given, "NAME=CENTS such as PostNL=495")
        if label in options:
            raise ConfigError(name, f"has two options named {label!r}")
        options[label] = ShippingOption(label, int(cents))
    if len(options) > MOST_SHIPPING_OPTIONS:
        raise ConfigError(name, f"has more than {MOST_SHIPPING_OPTIONS} options")
    return tuple(options.values())


def _smtp(env: _Environment) -> Smtp | None:
    text = env.text("SMTP_URL")
    if not text:
        return None
    parts = _split(text, "smtp", "smtps")
    # What follows a slash is the rest of a password that was not written as %2F.
    if not parts or parts.path not in ("", "/") or parts.query or parts.fragment:
        # The address may hold a password, so it is not repeated.
        raise ConfigError("SMTP_URL", "must be smtp[s]://USER:PASSWORD@HOST:PORT")
    is_encrypted = parts.scheme == "smtps"
    return Smtp(
        host=parts.hostname or "",
        port=parts.port or (465 if is_encrypted else 587),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        is_encrypted=is_encrypted,
    )


def _mail_from(env: _Environment, shop_url: str) -> str:
    host = urlsplit(shop_url).hostname or ""
    host = "localhost" if ":" in host else host
    sender = env.text("MAIL_FROM", f"Voorraad <shop@{host}>")
    addresses = [address for _, address in getaddresses([sender])]
    is_one = len(addresses) == 1 and EMAIL.fullmatch(addresses[0])
    is_fit = is_one and sender.isprintable()
    _require(is_fit, "MAIL_FROM", sender, "one sender such as Shop <a@b.example>")
    if env.text("SMTP_URL") and not env.text("MAIL_FROM"):
        raise ConfigError("MAIL_FROM", "must be set together with SMTP_URL")
    return sender
