"""The words of the hosted page, in Dutch and English, and its prices."""

from decimal import Decimal

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
        "address": "Delivery address",
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
        "incomplete": "Please fill in your name and a valid e-mail address.",
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
        "address": "Bezorgadres",
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
        "incomplete": "Vul uw naam en een geldig e-mailadres in.",
        "none": "Er is nog geen betaling begonnen.",
        "open": "open",
        "state": "Stand",
    },
}
_WITHOUT_CENTS = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
_SIGNS = {"eur": "€", "gbp": "£", "usd": "$"}


def price(amount: int, currency: str, language: str) -> str:
    """`€ 1.234,56` in Dutch, with a no-break space, and `€1,234.56` in English."""
    digits = 0 if currency in _WITHOUT_CENTS else 2
    text = f"{Decimal(amount).scaleb(-digits):,.{digits}f}"
    sign = _SIGNS.get(currency, f"{currency.upper()} ")
    if language == "nl":
        swapped = text.translate(str.maketrans(",.", ".,"))
        return f"{sign.strip()}\N{NO-BREAK SPACE}{swapped}"
    return f"{sign}{text}"
