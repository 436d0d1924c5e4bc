"""The steps of an order's history in Dutch."""

import re
from collections.abc import Mapping

from admin_dashboard.words import orders as words
from admin_dashboard.words.entries import TITLES
from core.models.checkout import CANCELLED, CONFIRMED, EXPIRED, PAYMENT_FAILED
from core.models.mail import GONE_MAIL, ORDER_MAIL, OWED_MAIL, REFUND_MAIL, TO_DO_MAIL
from core.models.orders import FULFILLED, PAID, REVIEW
from core.models.refunds import STRIPE
from core.owner.history import Step
from core.refunds.owed import SENT_BACK_BEFORE
from core.refunds.refunds import NO_PAYMENT

LETTERS = {
    ORDER_MAIL: "bevestiging",
    REFUND_MAIL: "bericht van terugbetaling",
    OWED_MAIL: "bericht dat terugbetalen niet lukte",
    GONE_MAIL: "bericht dat de goederen weg waren",
    TO_DO_MAIL: "bericht aan u",
}
WHAT = {
    "RESERVED": "Goederen gereserveerd",
    "PAGE_MADE": "Betaalpagina gemaakt bij Stripe",
    "PROLONGED": "Reservering verlengd",
    "TURNED_BACK": "Klant kwam terug van de betaalpagina zonder te betalen",
    CONFIRMED: "Reservering werd een verkoop",
    EXPIRED: "Reservering verlopen, goederen weer vrij",
    CANCELLED: "Reservering geannuleerd, goederen weer vrij",
    "SOLD": "Bestelling betaald",
    f"{PAID} to {FULFILLED}": "Verzonden",
    f"{FULFILLED} to {PAID}": "Verzonden ongedaan gemaakt",
    f"{REVIEW} to {PAID}": "Nagekeken en akkoord",
    "UNITS_RETURNED": "Terug in de voorraad",
    "REFUND_REQUESTED": "Terugbetaling aangevraagd",
    "REFUND_DONE": "Terugbetaling gedaan",
    "REFUND_FAILED": "Terugbetaling mislukt",
    "DISPUTE": "Betwiste betaling",
    "ENTERED": "Op de lijst Te doen gezet",
    "TICKED_OFF": "Afgevinkt op de lijst Te doen",
    "checkout.session.completed": "Stripe meldt: afgerekend",
    "checkout.session.expired": "Stripe meldt: betaalpagina gesloten",
    "checkout.session.async_payment_succeeded": "Stripe meldt: late betaling is binnen",
    "checkout.session.async_payment_failed": "Stripe meldt: late betaling is mislukt",
    "refund.created": "Stripe meldt: terugbetaling gemaakt",
    "refund.updated": "Stripe meldt: terugbetaling veranderd",
    "refund.failed": "Stripe meldt: terugbetaling mislukt",
    "charge.refunded": "Stripe meldt: geld teruggestuurd",
    "charge.refund.updated": "Stripe meldt: terugbetaling veranderd",
    "charge.dispute.created": "Stripe meldt: betaling betwist",
    "charge.dispute.updated": "Stripe meldt: betwisting veranderd",
    "charge.dispute.closed": "Stripe meldt: betwisting gesloten",
    "charge.dispute.funds_withdrawn": "Stripe meldt: betwist geld afgeschreven",
    "charge.dispute.funds_reinstated": "Stripe meldt: betwist geld teruggekregen",
    **{f"MAILED_{kind}": f"Gemaild: {what}" for kind, what in LETTERS.items()},
    **{
        f"MAIL_FAILED_{kind}": f"Kon niet gemaild worden: {what}"
        for kind, what in LETTERS.items()
    },
    **{
        f"MAIL_IN_DOUBT_{kind}": f"Misschien gemaild, dat weet niemand: {what}"
        for kind, what in LETTERS.items()
    },
}
CAUSES = {
    "hold over": "de tijd was om",
    "closed at Stripe": "gesloten bij Stripe",
    "unknown at Stripe": "Stripe kent de betaalpagina niet",
    PAYMENT_FAILED: "de betaling is mislukt",
    "the delayed payment did not come in time": "de betaling kwam niet op tijd",
    "cancelled by the customer": "door de klant",
    "replaced by a new checkout": "de klant begon opnieuw",
    "refused by Stripe": "Stripe weigerde de betaalpagina",
    "Stripe was too slow": "Stripe antwoordde te laat",
    "completed, a delayed payment is on its way": "de betaling is nog onderweg",
    "paid": "betaald",
    "paid late, units taken again": "laat betaald; de goederen waren nog vrij",
    # What came of a message of Stripe's.
    "PAID": "betaling verwerkt",
    "CLOSED": "goederen weer vrij",
    "AWAITS_PAYMENT": "betaling nog onderweg",
    "ENDED_BEFORE": "was al bekend",
    "LOOKED_AT": "nagekeken bij Stripe",
    NO_PAYMENT: "Stripe noemt geen betaling",
}
SHOP = "de winkel zelf"
WHO = {"RESERVED": "klant", "SOLD": "klant", "TURNED_BACK": "klant"}
FROM_STRIPE = ("checkout.", "charge.", "refund.", "DISPUTE", "REFUND_DONE", "REFUND_F")
# Stripe's words for why a refund failed, or was not taken at all.
FAILURES = {
    "charge_disputed": "de betaling is betwist",
    "charge_already_refunded": "het geld was al terug",
    "charge_expired_for_capture": "de betaling is verlopen",
    "charge_not_refundable": "deze betaling kan niet terug",
    "refund_disputed_payment": "de betaling is betwist",
    "lost_or_stolen_card": "kaart verloren of gestolen",
    "expired_or_canceled_card": "kaart verlopen of opgezegd",
    "charge_for_pending_refund_disputed": "de betaling werd intussen betwist",
    "insufficient_funds": "uw saldo bij Stripe was te laag",
    "declined": "geweigerd door de bank",
    "merchant_request": "op uw verzoek",
    "unknown": "reden onbekend",
    SENT_BACK_BEFORE: "het geld was bij Stripe al teruggestuurd",
}
# How the shop writes down a refusal: the kind of error, HTTP's number, Stripe's code.
_REFUSAL = re.compile(r"[A-Za-z]+Error(?: \d{3})?(?: (?!req_)(\w+))?(?: req_\w+)?")
_UNITS = re.compile(r"(\d+) x product (\d+)")
_DISPUTE = re.compile(r"(\w+) \((\w*)\)")


def what_of(step: Step) -> str:
    """Say what happened; what has no words yet is told as it is."""
    return WHAT.get(step.what, step.what)


def cause_of(step: Step, products: Mapping[int, str]) -> str:
    """Say why, or to what, as far as that is known; *products* are names by id."""
    if step.what in ("ENTERED", "TICKED_OFF"):
        return TITLES.get(step.cause, step.cause)
    if step.what == "REFUND_REQUESTED":
        return _why_refunded(step.cause)
    if step.what == "REFUND_FAILED":
        return failure_of(step.cause)
    if units := _UNITS.fullmatch(step.cause):
        name = products.get(int(units[2]), f"product {units[2]}")
        return f"{units[1]} {words.TIMES} {name}"
    if step.what == "DISPUTE" and (dispute := _DISPUTE.fullmatch(step.cause)):
        status = words.DISPUTE_STATUSES.get(dispute[1], dispute[1])
        reason = words.DISPUTE_REASONS.get(dispute[2], dispute[2])
        return f"{status} ({reason})" if reason else status
    return CAUSES.get(step.cause, step.cause)


def failure_of(failure: str) -> str:
    """Say why a refund failed, as far as Stripe's word is known."""
    if refusal := _REFUSAL.fullmatch(failure):
        code = refusal[1] or ""
        refused = f"Stripe weigerde het ({code})" if code else "Stripe weigerde het"
        return FAILURES.get(code, refused)
    return FAILURES.get(failure) or CAUSES.get(failure, failure)


def who_of(step: Step) -> str:
    """Say who did it: an owner by his address, or who else it was."""
    if step.who:
        return step.who
    if step.what.startswith(FROM_STRIPE) or step.cause == STRIPE:
        return "Stripe"
    return WHO.get(step.what, SHOP)


def _why_refunded(cause: str) -> str:
    kind, _, reason = cause.partition(": ")
    told = words.REFUND_REASONS.get(reason, reason)
    by = words.REFUND_CAUSES.get(kind, kind)
    return f"{by}: {told}" if told else by
