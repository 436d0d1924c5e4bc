"""Refunds and disputes as tables."""

from collections.abc import Mapping, Sequence

import pandas as pd

from admin_dashboard.words import history as history_words
from admin_dashboard.words import orders as words
from core.models.refunds import AUTOMATIC, FAILED, OWNER, STRIPE
from core.refunds.views import DisputeView, RefundView

Numbers = Mapping[int | None, int]
_WHO = {AUTOMATIC: history_words.SHOP, OWNER: "", STRIPE: "Stripe"}


def of_refunds(refunds: Sequence[RefundView], numbers: Numbers) -> pd.DataFrame:
    """Tabulate refunds; *numbers* are those of orders by checkout."""
    return pd.DataFrame(
        [
            {
                "Wanneer": words.moment(refund.created_at),
                "Bedrag": words.money(refund.amount_cents, refund.currency),
                "Status": words.REFUND_STATUSES[refund.status],
                "Bestelling": _number(refund.checkout_id, numbers),
                "Mislukt door": history_words.failure_of(refund.failure)
                if refund.status == FAILED
                else "",
                "Waarom": words.why_refunded(refund),
                "Wie": refund.who or _WHO[refund.cause],
                "Terugbetaling": refund.stripe_refund_id or "nog geen",
                "Betaling": refund.payment_intent,
                "Stripe-sessie": refund.stripe_session_id,
            }
            for refund in refunds
        ]
    )


def of_disputes(disputes: Sequence[DisputeView], numbers: Numbers) -> pd.DataFrame:
    """Tabulate disputes; *numbers* are those of orders by checkout."""
    return pd.DataFrame(
        [
            {
                "Antwoord voor": words.moment(dispute.due_by)
                if dispute.due_by
                else "geen termijn",
                "Bedrag": words.money(dispute.amount_cents, dispute.currency),
                "Status": words.dispute_status(dispute),
                "Reden": words.dispute_reason(dispute),
                "Bestelling": _number(dispute.checkout_id, numbers),
                "Sinds": words.moment(dispute.created_at),
                "Betwisting": dispute.stripe_dispute_id,
                "Betaling": dispute.payment_intent,
            }
            for dispute in disputes
        ]
    )


def _number(checkout_id: int | None, numbers: Numbers) -> str:
    number = numbers.get(checkout_id)
    return str(number) if number is not None else ""
