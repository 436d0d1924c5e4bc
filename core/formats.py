"""Money, VAT rates, countries and addresses, written as in a language (nl or en)."""

from collections.abc import Mapping
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency, format_percent


def money(cents: int, currency: str, locale: str) -> str:
    """Write an amount in cents of a currency (ISO 4217, in either case)."""
    return format_currency(Decimal(cents) / 100, currency.upper(), locale=locale)


def percentage(basis_points: int, locale: str) -> str:
    """Write a rate with as many decimals as it has: 21%, 9,5%."""
    return format_percent(Decimal(basis_points) / 10_000, "#,##0.##%", locale)


def country(code: str, locale: str) -> str:
    """Return the name of a country by its code (ISO 3166), or the code."""
    return str(Locale.parse(locale).territories.get(code, code))


def address_lines(
    name: str, address: Mapping[str, str], locale: str
) -> tuple[str, ...]:
    """
    Return the lines of an envelope; without *address* only the name, if there is one.

    *address* has Stripe's names: line1, line2, postal_code, city, state, country.
    """
    city = " ".join(filter(None, (address.get("postal_code"), address.get("city"))))
    lines = (
        name,
        address.get("line1"),
        address.get("line2"),
        city,
        address.get("state"),
        country(address.get("country") or "", locale),
    )
    return tuple(line for line in lines if line)
