"""A new session with every field that the types of the package demand."""

import stripe

from stripe_emulator.state.account import Json, new_id
from stripe_emulator.validation.stripe_types import blank

METHODS = ("card", "ideal", "sepa_debit")

# Stripe leaves these out unless they are requested or in use. Reading an absent field
# from an answer of the package raises AttributeError.
_SESSION_ABSENT = (
    "branding_settings",
    "excluded_payment_method_types",
    "allowed_payment_method_types",
    "integration_identifier",
    "line_items",
    "managed_payments",
    "name_collection",
    "optional_items",
    "payment_method_configuration_details",
    "presentment_details",
    "redirect_on_completion",
    "return_url",
    "tax_id_collection",
)


def session(params: Json, lines: list[Json], *, now: int, expires_at: int) -> Json:
    total = sum(line["amount_total"] for line in lines)
    shape = blank(stripe.checkout.Session)
    for name in _SESSION_ABSENT:
        del shape[name]
    session_id = new_id("cs_test", 58)
    return (
        shape
        | _echoed(params)
        | {
            "id": session_id,
            "object": "checkout.session",
            "amount_subtotal": total,
            "amount_total": total,
            "created": now,
            "currency": lines[0]["currency"],
            "expires_at": expires_at,
            "livemode": False,
            "mode": "payment",
            "payment_method_types": offered_methods(params),
            "payment_status": "no_payment_required" if total == 0 else "unpaid",
            "status": "open",
            "discounts": [],
            "total_details": {
                "amount_discount": 0,
                "amount_shipping": 0,
                "amount_tax": 0,
            },
        }
    )


def _echoed(params: Json) -> Json:
    """The fields that an answer repeats from the request, with Stripe's defaults."""
    switched = {"enabled": False}
    texts: Json = params.get("custom_text", {})
    return {
        "adaptive_pricing": params.get("adaptive_pricing", {"enabled": True}),
        "automatic_tax": {
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "consent_collection": _consent_collection(params),
        "custom_fields": [],
        "custom_text": {
            name: texts.get(name) or None
            for name in stripe.checkout.Session.CustomText.__annotations__
            if not name.startswith("_")
        },
        "customer_creation": params.get("customer_creation", "if_required"),
        "metadata": dict(params.get("metadata") or {}),
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "phone_number_collection": params.get("phone_number_collection", switched),
        "shipping_options": [],
        "ui_mode": "hosted_page",
    } | {name: params[name] for name in _REPEATED if name in params}


_REPEATED = (
    "allow_promotion_codes",
    "allowed_payment_method_types",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "customer_email",
    "excluded_payment_method_types",
    "locale",
    "origin_context",
    "shipping_address_collection",
    "submit_type",
    "success_url",
)


def _consent_collection(params: Json) -> Json | None:
    asked: Json | None = params.get("consent_collection")
    if asked is None:
        return None
    shape = blank(stripe.checkout.Session.ConsentCollection)
    return shape | {"promotions": "none", "terms_of_service": "none"} | asked


def offered_methods(params: Json) -> list[str]:
    wanted = params.get("payment_method_types") or params.get(
        "allowed_payment_method_types", METHODS
    )
    refused = params.get("excluded_payment_method_types") or ()
    return [name for name in METHODS if name in wanted and name not in refused]
