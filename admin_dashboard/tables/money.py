"""Refunds and disputes as tables."""

from collections.abc import Mapping, Sequence

import pandas as pd

from admin_dashboard.words import history, refunds
from admin_dashboard.words.figures import moment, money
from core.models.refunds import AUTOMATIC, FAILED, OWNER, STRIPE
from core.refunds.views import DisputeView, RefundView

Numbers = Mapping[int | None, int]
_WHO = {AUTOMATIC: history.SHOP, OWNER: "", STRIPE: "Stripe"}


def of_refunds(found: Sequence[RefundView], numbers: Numbers) -> pd.DataFrame:
    """Tabulate refunds; *numbers* are those of orders by checkout."""
    return pd.DataFrame(
        {
            "Wanneer": moment(refund.created_at),
            "Bedrag": money(refund.amount_cents, refund.currency),
            "Status": refunds.REFUND_STATUSES[refund.status],
            "Bestelling": str(numbers.get(refund.checkout_id, "")),
            "Mislukt door": history.failure_of(refund.failure)
            if refund.status == FAILED
            else "",
            "Waarom": refunds.reason_of(refund.cause, refund.reason),
            "Wie": refund.who or _WHO[refund.cause],
            "Terugbetaling": refund.stripe_refund_id or "nog geen",
            "Betaling": refund.payment_intent,
            "Stripe-sessie": refund.stripe_session_id,
        }
        for refund in found
    )


def of_disputes(found: Sequence[DisputeView], numbers: Numbers) -> pd.DataFrame:
    """Tabulate disputes; *numbers* are those of orders by checkout."""
    return pd.DataFrame(
        {
            "Antwoord voor": moment(dispute.due_by) or "geen termijn",
            "Bedrag": money(dispute.amount_cents, dispute.currency),
            "Status": refunds.dispute_status(dispute),
            "Reden": refunds.dispute_reason(dispute),
            "Bestelling": str(numbers.get(dispute.checkout_id, "")),
            "Sinds": moment(dispute.created_at),
            "Betwisting": dispute.stripe_dispute_id,
            "Betaling": dispute.payment_intent,
        }
        for dispute in found
    )
