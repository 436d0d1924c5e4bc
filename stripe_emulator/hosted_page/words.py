"""The texts of the hosted page in Dutch and English; prices, times and countries."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from babel import Locale

WORDS = {
    "en": {
        "title": "Pay \N{EN DASH} Stripe (test)",
        "overview": "Payments \N{EN DASH} Stripe (test)",
        "test": "Test \N{EN DASH} no real money",
        "explain": "This page stands in for Stripe. Nothing is charged.",
        "total": "Total",
        "quantity": "Quantity",
        "email": "E-mail",
        "name": "Name",
        "address": "Billing address",
        "shipping_address": "Delivery address",
        "shipping_name": "Name of the receiver",
        "phone": "Phone",
        "shipping": "Delivery",
        "update": "Update the total",
        "subtotal": "Subtotal",
        "discount": "Discount",
        "promotion_code": "Promotion code",
        "apply": "Apply",
        "remove": "Remove the code",
        "free": "Free",
        "terms": "I accept the shop's terms of service.",
        "changed": "The total has changed. Please look at it and pay once more.",
        "code_unknown": "There is no such code.",
        "code_invalid": "This code is not valid.",
        "code_expired": "This code has expired.",
        "code_used_up": "This code has been used up.",
        "code_minimum": "Your order is too small for this code.",
        "code_currency": "This code is for another currency.",
        "code_not_asked": "Codes cannot be used here.",
        "ask_name": "Please fill in your name and a valid e-mail address.",
        "ask_address": "Please fill in the whole address.",
        "ask_country": "The shop does not deliver to this country.",
        "ask_phone": "Please fill in a valid phone number.",
        "ask_terms": "Please accept the terms of service.",
        "line1": "Street and number",
        "postal_code": "Postcode",
        "city": "Town",
        "country": "Country",
        "method": "Payment method",
        "card": "Card",
        "ideal": "iDEAL | Wero",
        "sepa_debit": "Direct debit (the money comes later)",
        "pay": "Pay",
        "confirm": "Confirm",
        "decline": "Let the payment be declined",
        "back": "Back to the shop",
        "declined": "Your payment was declined. Nothing was charged. Please try again.",
        "expired": "This payment page has expired. Nothing was charged.",
        "paid": "This order has been paid.",
        "waiting": "The payment is on its way; the bank has not answered yet.",
        "failed": "The bank has refused the payment.",
        "succeed": "Let the payment succeed",
        "fail": "Let the payment fail",
        "unknown": "There is no such payment page.",
        "onward": "Go on to the shop",
        "none": "No payment has been begun yet.",
        "open": "open",
        "state": "State",
    },
    "nl": {
        "title": "Betalen \N{EN DASH} Stripe (test)",
        "overview": "Betalingen \N{EN DASH} Stripe (test)",
        "test": "Test \N{EN DASH} geen echt geld",
        "explain": "Deze pagina speelt voor Stripe. Er wordt niets afgeschreven.",
        "total": "Totaal",
        "quantity": "Aantal",
        "email": "E-mail",
        "name": "Naam",
        "address": "Factuuradres",
        "shipping_address": "Bezorgadres",
        "shipping_name": "Naam van de ontvanger",
        "phone": "Telefoon",
        "shipping": "Bezorging",
        "update": "Totaal bijwerken",
        "subtotal": "Subtotaal",
        "discount": "Korting",
        "promotion_code": "Kortingscode",
        "apply": "Toepassen",
        "remove": "Code verwijderen",
        "free": "Gratis",
        "terms": "Ik ga akkoord met de voorwaarden van de winkel.",
        "changed": "Het totaal is veranderd. Bekijk het en betaal nog een keer.",
        "code_unknown": "Deze code bestaat niet.",
        "code_invalid": "Deze code is niet geldig.",
        "code_expired": "Deze code is verlopen.",
        "code_used_up": "Deze code is op.",
        "code_minimum": "Uw bestelling is te klein voor deze code.",
        "code_currency": "Deze code is voor een andere munt.",
        "code_not_asked": "Codes kunnen hier niet worden gebruikt.",
        "ask_name": "Vul uw naam en een geldig e-mailadres in.",
        "ask_address": "Vul het hele adres in.",
        "ask_country": "De winkel bezorgt niet in dit land.",
        "ask_phone": "Vul een geldig telefoonnummer in.",
        "ask_terms": "Ga akkoord met de voorwaarden.",
        "line1": "Straat en huisnummer",
        "postal_code": "Postcode",
        "city": "Plaats",
        "country": "Land",
        "method": "Betaalmethode",
        "card": "Kaart",
        "ideal": "iDEAL | Wero",
        "sepa_debit": "Incasso (het geld komt later)",
        "pay": "Betalen",
        "confirm": "Bevestigen",
        "decline": "Laat de betaling weigeren",
        "back": "Terug naar de winkel",
        "declined": "De betaling is geweigerd. Er is niets afgeschreven. Probeer het "
        "opnieuw.",
        "expired": "Deze betaalpagina is verlopen. Er is niets afgeschreven.",
        "paid": "Deze bestelling is betaald.",
        "waiting": "De betaling is onderweg; de bank heeft nog niet geantwoord.",
        "failed": "De bank heeft de betaling geweigerd.",
        "succeed": "Laat de betaling slagen",
        "fail": "Laat de betaling mislukken",
        "unknown": "Deze betaalpagina bestaat niet.",
        "onward": "Verder naar de winkel",
        "none": "Er is nog geen betaling begonnen.",
        "open": "open",
        "state": "Stand",
    },
}
_WITHOUT_CENTS = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
_SIGNS = {"eur": "€", "gbp": "£", "usd": "$"}


def price(amount: int, currency: str, language: str) -> str:
    """
    Format *amount* (in cents, or whole units of a currency without cents).

    `€ 1.234,56` in Dutch, with a no-break space; `€1,234.56` in English.
    """
    digits = 0 if currency in _WITHOUT_CENTS else 2
    text = f"{Decimal(amount).scaleb(-digits):,.{digits}f}"
    sign = _SIGNS.get(currency, f"{currency.upper()} ")
    if language == "nl":
        swapped = text.translate(str.maketrans(",.", ".,"))
        return f"{sign.strip()}\N{NO-BREAK SPACE}{swapped}"
    return f"{sign}{text}"


_UNITS = {
    "en": {
        "hour": ("hour", "hours"),
        "day": ("day", "days"),
        "business_day": ("business day", "business days"),
        "week": ("week", "weeks"),
        "month": ("month", "months"),
    },
    "nl": {
        "hour": ("uur", "uur"),
        "day": ("dag", "dagen"),
        "business_day": ("werkdag", "werkdagen"),
        "week": ("week", "weken"),
        "month": ("maand", "maanden"),
    },
}


def delivery(estimate: dict[str, Any] | None, language: str) -> str:
    """`2 to 3 business days` (with a dash), or empty without an estimate."""
    given = estimate or {}
    bounds = [given[name] for name in ("minimum", "maximum") if given.get(name)]
    texts = [_length(bound, language) for bound in bounds]
    if len(texts) == 2 and bounds[0] == bounds[1]:
        return texts[0]
    if len(texts) == 2 and bounds[0]["unit"] == bounds[1]["unit"]:
        texts[0] = str(bounds[0]["value"])
    return "\N{EN DASH}".join(texts)


def _length(bound: dict[str, Any], language: str) -> str:
    one, many = _UNITS[language][bound["unit"]]
    return f"{bound['value']} {one if bound['value'] == 1 else many}"


def countries(codes: Iterable[str] | None, language: str) -> list[tuple[str, str]]:
    """Codes and names, sorted by name; None means every country."""
    names: dict[str, str] = dict(Locale.parse(language).territories)
    every = (code for code in names if len(code) == 2 and code.isalpha())
    named = [(code, names.get(code, code)) for code in (codes or every)]
    return sorted(named, key=lambda pair: pair[1])
