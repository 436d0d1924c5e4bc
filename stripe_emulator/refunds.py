"""Money back: never over the amount, never twice in full; and disputes."""

from decimal import Decimal

from stripe_emulator import objects
from stripe_emulator.account import Account, Json, new_id
from stripe_emulator.errors import ApiError, missing

_KNOWN = frozenset({"amount", "charge", "payment_intent", "reason", "metadata"})


def create(account: Account, params: Json, *, request: Json | None = None) -> Json:
    for name in params.keys() - _KNOWN - {"expand"}:
        raise ApiError(f"The emulator does not know what to do with {name}.")
    charge = _charge_of(account, params)
    amount = _amount(charge, params.get("amount"))
    refund = objects.refund(charge, amount, params, now=account.now())
    refund["balance_transaction"] = new_id("txn")
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    account.put("refunds", refund["id"], refund)
    account.put("charges", charge["id"], charge)
    account.record_event("refund.created", refund, request=request)
    account.record_event("charge.refunded", charge, request=request)
    return refund


def fail(account: Account, refund_id: str) -> Json:
    """The bank sends the money back after all: a refund that succeeded fails late."""
    refund = account.get("refunds", refund_id)
    if refund["status"] == "failed":
        raise ApiError("This refund has failed before.")
    refund |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    refund["failure_balance_transaction"] = new_id("txn")
    charge = account.get("charges", refund["charge"])
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    account.put("refunds", refund["id"], refund)
    account.put("charges", charge["id"], charge)
    account.record_event("refund.updated", refund)
    return account.record_event("refund.failed", refund)


def dispute(account: Account, charge_id: str) -> Json:
    charge = account.get("charges", charge_id)
    dispute = objects.dispute(charge, now=account.now())
    charge["disputed"] = True
    account.put("disputes", dispute["id"], dispute)
    account.put("charges", charge["id"], charge)
    return account.record_event("charge.dispute.created", dispute)


def _charge_of(account: Account, params: Json) -> Json:
    named = [name for name in ("charge", "payment_intent") if name in params]
    if not named:
        text = "One of the following params should be provided for this request: "
        raise ApiError(text + "payment_intent or charge.")
    if "charge" in params:
        return _paid(account.get("charges", params["charge"], param="charge"))
    intent_id = params["payment_intent"]
    intent = account.get("payment_intents", intent_id, param="payment_intent")
    if intent["status"] != "succeeded":
        raise ApiError(
            f"This PaymentIntent ({intent_id}) does not have a successful charge to "
            "refund.",
            param="payment_intent",
            executed=True,
        )
    return _paid(account.get("charges", intent["latest_charge"]))


def _paid(charge: Json) -> Json:
    if not charge["paid"]:
        raise missing("charge", charge["id"], param="charge")
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
