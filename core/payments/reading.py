"""
Stripe's JSON read into the shop's dataclasses.

Stripe leaves out what is not in use, and an event may be of another API version.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core.payments.data import Bill, DisputeReport, Event, PaymentSession, RefundReport

CHECKOUT_KEY = "checkout_key"
REFUND_KEY = "refund_key"

Json = Mapping[str, Any]


def payment_session(session: Json) -> PaymentSession:
    """Read a Checkout Session; its payment intent may be an id or the whole."""
    intent = _opened(session.get("payment_intent"))
    return PaymentSession(
        id=session["id"],
        status=session["status"] or "",
        payment_status=session["payment_status"],
        url=session.get("url"),
        payment_intent=intent.get("id"),
        payment_failed=intent.get("status") in ("requires_payment_method", "canceled"),
        bill=_bill(session),
        refunded_cents=_opened(intent.get("latest_charge")).get("amount_refunded") or 0,
        checkout_key=_metadata(session, CHECKOUT_KEY),
        recovered_from=session.get("recovered_from") or "",
        created_at=_moment(session.get("created") or 0),
    )


def _bill(session: Json) -> Bill:
    total = session.get("amount_total") or 0
    sums = session.get("total_details") or {}
    customer = session.get("customer_details") or {}
    collected = session.get("collected_information") or {}
    shipping = collected.get("shipping_details") or {}
    subtotal = session.get("amount_subtotal")
    return Bill(
        subtotal_cents=total if subtotal is None else subtotal,
        total_cents=total,
        currency=session.get("currency") or "",
        discount_cents=sums.get("amount_discount") or 0,
        shipping_cents=sums.get("amount_shipping") or 0,
        tax_cents=sums.get("amount_tax") or 0,
        promotion_code=_promotion_code(session),
        shipping_option=_shipping_option(session),
        customer_name=customer.get("name") or shipping.get("name") or "",
        customer_email=customer.get("email") or "",
        customer_phone=customer.get("phone") or "",
        shipping_name=shipping.get("name") or "",
        shipping_address=_address(shipping.get("address")),
        billing_address=_address(customer.get("address")),
    )


def _promotion_code(session: Json) -> str:
    for discount in session.get("discounts") or ():
        code = _opened(discount.get("promotion_code"))
        return str(code.get("code") or code.get("id") or "")
    return ""


def _shipping_option(session: Json) -> str:
    rate = _opened((session.get("shipping_cost") or {}).get("shipping_rate"))
    return str(rate.get("display_name") or rate.get("id") or "")


def _opened(named: Any) -> Json:
    """Return an object that may be given as its id alone, or not at all."""
    if isinstance(named, Mapping):
        return named
    return {"id": named} if named else {}


def _address(given: Any) -> str:
    filled = {name: value for name, value in (given or {}).items() if value}
    return json.dumps(filled, sort_keys=True, ensure_ascii=False) if filled else ""


def refund_report(refund: Json) -> RefundReport:
    """Read a refund."""
    return RefundReport(
        id=refund["id"],
        payment_intent=_opened(refund.get("payment_intent")).get("id") or "",
        amount_cents=refund["amount"],
        currency=refund["currency"],
        status=refund.get("status") or "",
        key=_metadata(refund, REFUND_KEY),
        failure=refund.get("failure_reason") or "",
    )


def dispute_report(dispute: Json) -> DisputeReport:
    """Read a dispute."""
    due_by = (dispute.get("evidence_details") or {}).get("due_by")
    return DisputeReport(
        id=dispute["id"],
        payment_intent=_opened(dispute.get("payment_intent")).get("id") or "",
        amount_cents=dispute["amount"],
        currency=dispute["currency"],
        reason=dispute.get("reason") or "",
        status=dispute["status"],
        due_by=_moment(due_by) if due_by else None,
    )


def event(given: Json) -> Event:
    """
    Read an event; its signature was verified, its shape was not.

    Raises ValueError, TypeError, KeyError or AttributeError if it is no event.
    """
    what = given["data"]["object"]
    intent = _opened(what.get("payment_intent")).get("id")
    return Event(
        id=_name(given["id"]),
        type=_name(given["type"]),
        object_id=_name(what["id"]) if what.get("id") else "",
        object_type=str(what.get("object") or ""),
        payment_intent=_name(intent) if intent else "",
        reference=str(what.get("client_reference_id") or ""),
        checkout_key=_metadata(what, CHECKOUT_KEY),
        recovered_from=str(what.get("recovered_from") or ""),
        api_version=str(given.get("api_version") or ""),
    )


def _name(value: object) -> str:
    # Printable ASCII, as Stripe's ids and types are: a database may refuse the rest.
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,255}", value):
        raise ValueError("no name of Stripe's")
    return value


def _metadata(what: Json, name: str) -> str:
    metadata = what.get("metadata")
    return str(metadata.get(name) or "") if isinstance(metadata, Mapping) else ""


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
