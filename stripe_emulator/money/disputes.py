"""Disputes: the customer's bank takes the money back, and may return it."""

from typing import Literal

import stripe

from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.validation.errors import ApiError
from stripe_emulator.validation.stripe_types import blank

Outcome = Literal["won", "lost"]
_FEE_CENTS = 2000
_ANSWER_SECONDS = 7 * 86_400
_OPEN = ("needs_response", "under_review")


def create(
    account: Account,
    charge: Json,
    *,
    amount: int | None = None,
    reason: str = "fraudulent",
) -> Json:
    """
    Take *amount* cents (None: all) from the shop at once; return the dispute.

    Raises ApiError if the charge is unpaid, already disputed or smaller.
    """
    wanted = charge["amount"] if amount is None else amount
    if not charge["paid"] or charge["disputed"]:
        raise ApiError("Only a charge that was paid can be disputed, and only once.")
    if not 0 < wanted <= charge["amount"]:
        raise ApiError("A dispute is about a part of the charge at most.")
    dispute = _dispute(charge, wanted, reason, now=account.now())
    _move_money(account, dispute, -wanted, fee=_FEE_CENTS)
    charge["disputed"] = True
    account.put("charges", charge["id"], charge)
    account.record_event("charge.dispute.created", dispute)
    account.record_event("charge.dispute.funds_withdrawn", dispute)
    return dispute


def review(account: Account, dispute_id: str) -> Json:
    """Record that the shop has answered and the bank is reviewing it."""
    return _change(account, dispute_id, "under_review")


def close(account: Account, dispute_id: str, outcome: Outcome) -> Json:
    """Close the dispute, once; the money comes back if the shop has won."""
    dispute = _change(account, dispute_id, outcome)
    if outcome == "won":
        _move_money(account, dispute, dispute["amount"], fee=-_FEE_CENTS)
    account.record_event("charge.dispute.closed", dispute)
    if outcome == "won":
        account.record_event("charge.dispute.funds_reinstated", dispute)
    return dispute


def holds_money(account: Account, charge: Json) -> bool:
    """Whether a dispute about *charge* is open or lost."""
    return any(
        dispute["charge"] == charge["id"] and dispute["status"] != "won"
        for dispute in account.tables["disputes"].values()
    )


def _change(account: Account, dispute_id: str, status: str) -> Json:
    dispute = account.get("disputes", dispute_id)
    if dispute["status"] not in _OPEN:
        raise ApiError(f"This dispute is {dispute['status']}.")
    before = {"status": dispute["status"]}
    dispute["status"] = status
    if status == "under_review":
        dispute["evidence_details"] |= {"has_evidence": True, "submission_count": 1}
    account.put("disputes", dispute_id, dispute)
    account.record_event("charge.dispute.updated", dispute, before=before)
    return dispute


def _move_money(account: Account, dispute: Json, amount: int, *, fee: int) -> None:
    moved = blank(stripe.BalanceTransaction) | {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": account.now(),
        "balance_type": "payments",
        "created": account.now(),
        "currency": dispute["currency"],
        "description": f"Chargeback for {dispute['charge']}",
        "fee": fee,
        "fee_details": [_fee(fee, dispute["currency"])],
        "net": amount - fee,
        "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }
    dispute["balance_transactions"].append(moved)
    account.put("disputes", dispute["id"], dispute)


def _fee(amount: int, currency: str) -> Json:
    shape = blank(stripe.BalanceTransaction.FeeDetail)
    named = {"description": "Dispute fee", "type": "stripe_fee"}
    return shape | named | {"amount": amount, "currency": currency}


def _dispute(charge: Json, amount: int, reason: str, *, now: int) -> Json:
    evidence = blank(stripe.Dispute.Evidence)
    return blank(stripe.Dispute) | {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": evidence | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + _ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }
