"""Refunds: never more than was paid, and not always at once. Amounts in cents."""

from decimal import Decimal

import stripe

from stripe_emulator.money import disputes
from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.checks import merged_metadata
from stripe_emulator.validation.errors import ApiError, missing
from stripe_emulator.validation.stripe_types import blank

STATUSES = ("succeeded", "pending", "failed")
_KNOWN = frozenset({"amount", "charge", "payment_intent", "reason", "metadata"})
_PENDING = {"status": "pending", "pending_reason": "processing"}
_FAILED = {"status": "failed", "failure_reason": "lost_or_stolen_card"}


def create(account: Account, params: Json, *, request: Json | None = None) -> Json:
    """Refund a charge; a pending refund counts as refunded until it fails."""
    for name in params.keys() - _KNOWN - {"expand"}:
        raise ApiError(f"The emulator does not know what to do with {name}.")
    charge = _charge_of(account, params)
    amount = _amount(charge, params.get("amount"))
    refund = _refund(charge, amount, params, now=account.now())
    refund["balance_transaction"] = new_id("txn")
    status = account.next_refunds.pop(0) if account.next_refunds else "succeeded"
    if status == "failed":
        refund |= {**_FAILED, "failure_balance_transaction": new_id("txn")}
    elif status == "pending":
        refund |= _PENDING
    account.put("refunds", refund["id"], refund)
    account.record_event("refund.created", refund, request=request)
    if status == "failed":
        account.record_event("refund.failed", refund, request=request)
        return refund
    _count(account, charge, amount)
    account.record_event("charge.refunded", charge, request=request)
    return refund


def update(
    account: Account, refund: Json, params: Json, *, request: Json | None = None
) -> Json:
    if "metadata" in params:
        before = {"metadata": refund["metadata"]}
        merged = merged_metadata(refund["metadata"], params["metadata"])
        refund["metadata"] = merged
        _tell(account, refund, before, request=request)
    return refund


def succeed(account: Account, refund_id: str) -> Json:
    """Let a pending refund succeed; return it."""
    refund = account.get("refunds", refund_id)
    if refund["status"] != "pending":
        raise ApiError(f"This refund is {refund['status']}, not pending.")
    refund |= {"status": "succeeded", "pending_reason": None}
    _tell(account, refund, _PENDING)
    return refund


def fail(account: Account, refund_id: str) -> Json:
    """Let a refund fail, even one that had succeeded; return it."""
    refund = account.get("refunds", refund_id)
    if refund["status"] == "failed":
        raise ApiError("This refund has failed before.")
    before = {"status": refund["status"], "failure_reason": None}
    refund |= {**_FAILED, "pending_reason": None}
    refund["failure_balance_transaction"] = new_id("txn")
    _count(account, account.get("charges", refund["charge"]), -refund["amount"])
    _tell(account, refund, before)
    account.record_event("refund.failed", refund)
    return refund


def _count(account: Account, charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    account.put("charges", charge["id"], charge)


def _tell(
    account: Account, refund: Json, before: Json, *, request: Json | None = None
) -> None:
    """Stripe sends two events for a change, under an old and a new name."""
    account.put("refunds", refund["id"], refund)
    for kind in ("charge.refund.updated", "refund.updated"):
        account.record_event(kind, refund, request=request, before=before)


def _charge_of(account: Account, params: Json) -> Json:
    named = [name for name in ("charge", "payment_intent") if name in params]
    if not named:
        text = "One of the following params should be provided for this request: "
        raise ApiError(text + "payment_intent or charge.")
    if "charge" in params:
        return _paid(account, account.get("charges", params["charge"], param="charge"))
    intent_id = params["payment_intent"]
    intent = account.get("payment_intents", intent_id, param="payment_intent")
    if intent["status"] != "succeeded":
        raise ApiError(
            f"This PaymentIntent ({intent_id}) does not have a successful charge to "
            "refund.",
            param="payment_intent",
            executed=True,
        )
    return _paid(account, account.get("charges", intent["latest_charge"]))


def _paid(account: Account, charge: Json) -> Json:
    if not charge["paid"]:
        raise missing("charge", charge["id"], param="charge")
    if disputes.holds_money(account, charge):
        raise ApiError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
            executed=True,
        )
    return charge


def _amount(charge: Json, wanted: int | None) -> int:
    rest: int = charge["amount"] - charge["amount_refunded"]
    if wanted is not None and wanted < 1:
        code = "parameter_invalid_integer"
        raise ApiError("Invalid positive integer", code=code, param="amount")
    if rest == 0:
        raise ApiError(
            f"Charge {charge['id']} has already been refunded.",
            code="charge_already_refunded",
            executed=True,
        )
    if wanted is not None and wanted > rest:
        text = _too_much(charge, wanted, rest)
        raise ApiError(text, param="amount", executed=True)
    return rest if wanted is None else wanted


def _too_much(charge: Json, wanted: int, rest: int) -> str:
    noun = (
        "charge amount" if rest == charge["amount"] else "unrefunded amount on charge"
    )
    asked, left = _money(wanted, charge), _money(rest, charge)
    return f"Refund amount ({asked}) is greater than {noun} ({left})"


def _money(cents: int, charge: Json) -> str:
    sign = {"eur": "€", "usd": "$", "gbp": "£"}.get(charge["currency"], "")
    return f"{sign}{Decimal(cents) / 100:.2f}"


def _refund(charge: Json, amount: int, params: Json, *, now: int) -> Json:
    method = charge["payment_method_details"]["type"]
    shape = blank(stripe.Refund)
    for name in ("failure_balance_transaction", "failure_reason", "next_action"):
        del shape[name]
    for name in ("instructions_email", "presentment_details", "description"):
        del shape[name]
    return shape | {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "destination_details": {"type": method, method: _destination(method)},
        "metadata": dict(params.get("metadata") or {}),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "status": "succeeded",
    }


def _destination(method: str) -> Json:
    return {"type": "refund"} if method == "card" else {}
