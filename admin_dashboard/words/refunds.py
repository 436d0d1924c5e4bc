"""Refunds and disputes in Dutch."""

from core.models.records import PAID_TWICE, TOO_LATE
from core.models.refunds import AUTOMATIC, DONE, FAILED, OWNER, REQUESTED, SENT, STRIPE
from core.refunds.views import DisputeView

REFUND_STATUSES = {
    REQUESTED: "Aangevraagd",
    SENT: "Onderweg bij de bank",
    DONE: "Gedaan",
    FAILED: "Mislukt",
}
REFUND_CAUSES = {AUTOMATIC: "Automatisch", OWNER: "Door u", STRIPE: "Bij Stripe"}
REFUND_REASONS = {
    TOO_LATE: "betaald toen de goederen al weg waren",
    PAID_TWICE: "twee keer betaald",
}
# Stripe's statuses and reasons of a dispute.
DISPUTE_STATUSES = {
    "needs_response": "Wacht op uw antwoord",
    "under_review": "De bank beoordeelt uw antwoord",
    "won": "Gewonnen: u houdt het geld",
    "lost": "Verloren: het geld is terug naar de klant",
    "prevented": "Voorkomen",
    "warning_needs_response": "Vooraankondiging: wacht op uw antwoord",
    "warning_under_review": "Vooraankondiging: de bank beoordeelt uw antwoord",
    "warning_closed": "Vooraankondiging gesloten",
}
DISPUTE_REASONS = {
    "bank_cannot_process": "de bank kon niet verwerken",
    "check_returned": "cheque teruggekomen",
    "credit_not_processed": "terugbetaling niet ontvangen",
    "customer_initiated": "klant vraagt geld terug",
    "debit_not_authorized": "afschrijving niet toegestaan",
    "duplicate": "dubbel betaald",
    "fraudulent": "klant zegt niet zelf betaald te hebben",
    "general": "geen reden gegeven",
    "incorrect_account_details": "verkeerde rekeninggegevens",
    "insufficient_funds": "saldo te laag",
    "noncompliant": "niet volgens de regels",
    "product_not_received": "klant zegt niets ontvangen te hebben",
    "product_unacceptable": "klant vindt het product niet goed",
    "subscription_canceled": "abonnement was opgezegd",
    "unrecognized": "klant herkent de betaling niet",
}


def reason_of(cause: str, reason: str) -> str:
    """Say who or what sent the money back, and why if that is known."""
    by = REFUND_CAUSES.get(cause, cause)
    why = REFUND_REASONS.get(reason, reason)
    return f"{by}: {why}" if why else by


def dispute_status(dispute: DisputeView) -> str:
    return DISPUTE_STATUSES.get(dispute.status, dispute.status)


def dispute_reason(dispute: DisputeView) -> str:
    return DISPUTE_REASONS.get(dispute.reason, dispute.reason)
