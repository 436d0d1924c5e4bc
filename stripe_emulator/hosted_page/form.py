"""The form of the hosted page: what the customer has filled in and chosen."""

from flask import request

from stripe_emulator.checkout import payers
from stripe_emulator.state.account import Json
from stripe_emulator.validation.checks import is_email


def chosen() -> tuple[str | None, str | None]:
    """The shipping rate and the promotion code, or None for each."""
    return _typed("shipping") or None, _typed("promotion_code") or None


def shown_total() -> int | None:
    """The total in cents that the page showed to the customer."""
    shown = _typed("amount")
    return int(shown) if shown.isdecimal() else None


def payer_in(session: Json) -> Json:
    """Return the payer as typed; raise IncompleteError without a name and e-mail."""
    payer: Json = {"email": _typed("email"), "name": _typed("name")}
    if not payer["name"] or not is_email(payer["email"]):
        raise payers.IncompleteError("name")
    if payers.asks_address(session):
        payer["address"] = {name: _typed(name) for name in payers.ADDRESS}
        payer["shipping_name"] = _typed("shipping_name")
    if payers.asks_phone(session):
        payer["phone"] = payers.phone_number(_typed("phone"))
    return payer | {"terms": _typed("terms") == "yes"}


def prefilled(session: Json) -> Json:
    """The values to show in the fields: what was typed, else the demo payer."""
    demo = payers.filled(session, {"terms": ""})
    fields = {
        **demo.pop("address", {}),
        **demo,
        "email": session["customer_email"] or demo["email"],
        "shipping_name": demo["name"],
    }
    return fields | {name: _typed(name) for name in fields if name in request.form}


def _typed(name: str) -> str:
    return request.form.get(name, "").strip()
