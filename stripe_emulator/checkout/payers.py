"""Payers, and what a session asks of them: an address, a phone number, the terms."""

import re
from typing import Any

from stripe_emulator.state.account import Json
from stripe_emulator.validation.errors import ApiError

DEMO_PAYER: Json = {"email": "test@example.com", "name": "Test Tester"}
ADDRESS = ("line1", "postal_code", "city", "country")
_DEMO_ADDRESS: Json = {
    "line1": "Teststraat 1",
    "postal_code": "1234 AB",
    "city": "Teststad",
    "country": "NL",
}
_DEMO_PHONE = "+31612345678"
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_TEXTS = {
    "name": "A name and a valid e-mail address are needed.",
    "address": "The session asks for a whole address.",
    "country": "Nothing is shipped to this country.",
    "phone": "The session asks for a phone number with its country, as +31612345678.",
    "terms": "The terms of service have to be accepted.",
}


class IncompleteError(ApiError):
    """*reason* is one of `_TEXTS`; the page has its own words for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(_TEXTS[reason], param=reason)
        self.reason = reason


def asks_address(session: Json) -> bool:
    is_required = session["billing_address_collection"] == "required"
    return bool(session["shipping_address_collection"]) or is_required


def asks_phone(session: Json) -> bool:
    return bool(session["phone_number_collection"]["enabled"])


def asks_terms(session: Json) -> bool:
    collected: Json = session["consent_collection"] or {}
    return collected.get("terms_of_service") == "required"


def countries(session: Json) -> list[str] | None:
    """The countries that goods may be shipped to; None if the session does not ask."""
    collected: Json | None = session["shipping_address_collection"]
    return collected["allowed_countries"] if collected else None


def _demo_address(session: Json) -> Json:
    allowed = countries(session) or [_DEMO_ADDRESS["country"]]
    wanted = _DEMO_ADDRESS["country"]
    return _DEMO_ADDRESS | {"country": wanted if wanted in allowed else allowed[0]}


def filled(session: Json, given: Json) -> Json:
    """Complete *given* with demo data for everything else the session asks for."""
    payer = {**DEMO_PAYER, "terms": True, **given}
    if asks_address(session):
        payer["address"] = _demo_address(session) | (given.get("address") or {})
    if asks_phone(session):
        payer["phone"] = given.get("phone", _DEMO_PHONE)
    return payer


def check(session: Json, payer: Json) -> None:
    """Raise IncompleteError if *payer* lacks something that the session asks for."""
    if asks_address(session):
        address = payer.get("address") or {}
        if not all(address.get(name) for name in ADDRESS):
            raise IncompleteError("address")
        allowed = countries(session)
        if allowed is not None and address["country"] not in allowed:
            raise IncompleteError("country")
    if asks_phone(session) and not _PHONE.fullmatch(payer.get("phone") or ""):
        raise IncompleteError("phone")
    if asks_terms(session) and not payer.get("terms"):
        raise IncompleteError("terms")


def phone_number(typed: str) -> str:
    """Return the number in international form; one without a country is Dutch."""
    digits = re.sub(r"[^0-9+]", "", typed)
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+31{digits[1:]}" if digits.startswith("0") else digits


def collected(session: Json, payer: Json) -> Json:
    """The fields about the payer of a completed session: only what it asked for."""
    address = _address(payer)
    shipping = {"address": address, "name": _receiver(payer)}
    consent = {"promotions": None, "terms_of_service": "accepted"}
    ships = session["shipping_address_collection"] is not None
    return {
        "customer_details": {
            "address": address,
            "business_name": None,
            "email": payer.get("email"),
            "individual_name": None,
            "name": payer.get("name"),
            "phone": payer["phone"] if asks_phone(session) else None,
            "tax_exempt": "none",
            "tax_ids": [],
        },
        "collected_information": {
            "business_name": None,
            "individual_name": None,
            "shipping_details": shipping if ships else None,
        },
        "consent": consent if asks_terms(session) else None,
    }


def shipping(session: Json, payer: Json) -> Json | None:
    """The `shipping` field of a payment intent and a charge."""
    if session["shipping_address_collection"] is None:
        return None
    phone = payer["phone"] if asks_phone(session) else None
    named = {"address": _address(payer), "name": _receiver(payer), "phone": phone}
    return {**named, "carrier": None, "tracking_number": None}


def billing(session: Json, payer: Json) -> Json:
    """The `billing_details` of a charge."""
    return {
        "address": _address(payer),
        "email": payer.get("email"),
        "name": payer.get("name"),
        "phone": payer["phone"] if asks_phone(session) else None,
    }


def _receiver(payer: Json) -> Any:
    return payer.get("shipping_name") or payer.get("name")


def _address(payer: Json) -> Json | None:
    given: Json | None = payer.get("address")
    if not given:
        return None
    return {"line2": None, "state": None} | given
