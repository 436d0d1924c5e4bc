"""Checks that many calls share; each raises ApiError with Stripe's text."""

import re
from collections.abc import Set
from typing import Any

from stripe_emulator.validation.errors import ApiError, missing_param, not_emulated

LARGEST_AMOUNT = 99_999_999  # in the smallest unit of the currency
_MOST_KEYS, _LONGEST_KEY, _LONGEST_VALUE = 50, 40, 500
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+\.[^@\s]+")
_CURRENCY_CODES = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl "
    "bsd bwp byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur "
    "fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy "
    "kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop "
    "mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg "
    "qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top "
    "try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar "
    "zmw"
)
_CURRENCIES = frozenset(_CURRENCY_CODES.split())


def within(at: str, name: str) -> str:
    """The full name of a parameter; *at* is empty at the top level."""
    return f"{at}[{name}]" if at else name


def demand(given: dict[str, Any], *names: str, at: str = "") -> None:
    for name in names:
        if name not in given:
            raise missing_param(within(at, name))


def check_known(given: dict[str, Any], known: Set[str], at: str = "") -> None:
    """Refuse what Stripe would accept but the emulator would have to ignore."""
    for name in given.keys() - known:
        raise not_emulated(within(at, name))


def check_metadata(metadata: Any, param: str) -> None:
    if not isinstance(metadata, dict):
        return
    if len(metadata) > _MOST_KEYS:
        text = f"Metadata can have up to {_MOST_KEYS} keys; you passed {len(metadata)}."
        raise ApiError(text, param=param)
    for key, value in metadata.items():
        check_length(key, _LONGEST_KEY, f"{param}[{key}]", what="Metadata keys")
        check_length(value, _LONGEST_VALUE, f"{param}[{key}]", what="Metadata values")


def check_length(
    text: str, longest: int, param: str, *, what: str | None = None
) -> None:
    if len(text) <= longest:
        return
    message = f"Invalid string: {text[:10]}...; must be at most {longest} characters"
    if what is not None:
        message = (
            f"{what} can have up to {longest} characters, but you passed in "
            f"one that is {len(text)} characters. Invalid: {text[:60]}"
        )
    raise ApiError(message, param=param)


def merged_metadata(old: dict[str, str], new: Any) -> dict[str, str]:
    """Return *old* updated by *new*: an empty value removes a key, "" removes all."""
    if new == "":
        return {}
    return {key: value for key, value in {**old, **new}.items() if value != ""}


def check_number(number: Any, least: int, most: int, param: str) -> None:
    limit = None
    if number < least:
        limit = f"greater than or equal to {least}"
    elif number > most:
        limit = f"less than or equal to {most}"
    if limit is not None:
        text = f"This value must be {limit}."
        raise ApiError(text, code="parameter_invalid_integer", param=param)


def check_amount(amount: Any, param: str, *, least: int = 1) -> None:
    check_number(amount, least, LARGEST_AMOUNT, param)


def check_currency(currency: str, param: str) -> None:
    if currency.lower() not in _CURRENCIES:
        raise ApiError(
            f"Invalid currency: {currency}. Stripe currently supports these "
            f"currencies: {', '.join(sorted(_CURRENCIES))}",
            param=param,
        )


def is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None


def check_email(email: str, param: str) -> None:
    if not is_email(email):
        text = f"Invalid email address: {email}"
        raise ApiError(text, code="email_invalid", param=param)


def demand_one(given: dict[str, Any], names: tuple[str, str], at: str) -> None:
    count = sum(name in given for name in names)
    if count == 1:
        return
    both = " and ".join(f"`{at}[{name}]`" for name in names)
    text = f"You must provide exactly one of {both}."
    code = "parameter_missing" if count == 0 else None
    raise ApiError(text, code=code, param=f"{at}[{names[0]}]")


def check_not_both(params: dict[str, Any], *names: str) -> None:
    if all(name in params for name in names):
        text = f"You may only specify one of these parameters: {', '.join(names)}."
        raise ApiError(text, param=names[0])
