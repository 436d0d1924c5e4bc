"""The steps of an order's history in Dutch."""

import re
from collections.abc import Mapping

from admin_dashboard.words.figures import LOCALE, TIMES
from admin_dashboard.words.refunds import DISPUTE_REASONS, DISPUTE_STATUSES, reason_of
from core.models import mail
from core.models.checkout import CANCELLED, CONFIRMED, EXPIRED, PAYMENT_FAILED
from core.models.orders import FULFILLED, PAID, REVIEW
from core.models.refunds import STRIPE
from core.owner.history import Step
from core.owner.to_do_words import WORDS
from core.refunds.owed import SENT_BACK_BEFORE
from core.refunds.refunds import NO_PAYMENT

LETTERS = {
    mail.ORDER_MAIL: "bevestiging",
    mail.REFUND_MAIL: "bericht van terugbetaling",
    mail.OWED_MAIL: "bericht dat terugbetalen niet lukte",
    mail.GONE_MAIL: "bericht dat de goederen weg waren",
    mail.TO_DO_MAIL: "bericht aan u",
}
WHAT = {
    "RESERVED": "Goederen gereserveerd",
    "PAGE_MADE": "Betaalpagina gemaakt bij Stripe",
    "PROLONGED": "Reservering verlengd",
    "TURNED_BACK": "Klant kwam terug van de betaalpagina zonder te betalen",
    "LET_GO": "Reservering door u vrijgegeven",
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
    **{
        f"{beginning}_{kind}": f"{told}: {what}"
        for beginning, told in (
            ("MAILED", "Gemaild"),
            ("MAIL_FAILED", "Kon niet gemaild worden"),
            ("MAIL_IN_DOUBT", "Misschien gemaild, dat weet niemand"),
        )
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
    "a price had changed": "een prijs was net veranderd; de klant zag de nieuwe",
    "refused by Stripe": "Stripe weigerde de betaalpagina",
    "Stripe was too slow": "Stripe antwoordde te laat",
    "completed, a delayed payment is on its way": "de betaling is nog onderweg",
    "paid": "betaald",
    "paid late, units taken again": "laat betaald; de goederen waren nog vrij",
    # Outcomes of an event from Stripe.
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
# Stripe's causes of a refund that failed or was refused.
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
# As the shop records a refusal: type of the error, HTTP status, Stripe's code.
_REFUSAL = re.compile(r"[A-Za-z]+Error(?: \d{3})?(?: (?!req_)(\w+))?(?: req_\w+)?")
_UNITS = re.compile(r"(\d+) x product (\d+)")
_DISPUTE = re.compile(r"(\w+) \((\w*)\)")


def what_of(step: Step) -> str:
    """Say what happened; a step without words of its own is shown as recorded."""
    return WHAT.get(step.what, step.what)


def cause_of(step: Step, products: Mapping[int, str]) -> str:
    """Say why, or to what, as far as that is known; *products* are names by id."""
    if step.what in ("ENTERED", "TICKED_OFF"):
        return WORDS[LOCALE].get(step.cause, (step.cause,))[0]
    if step.what == "REFUND_REQUESTED":
        cause, _, reason = step.cause.partition(": ")
        return reason_of(cause, reason)
    if step.what == "REFUND_FAILED":
        return failure_of(step.cause)
    if units := _UNITS.fullmatch(step.cause):
        name = products.get(int(units[2]), f"product {units[2]}")
        return f"{units[1]} {TIMES} {name}"
    if step.what == "DISPUTE" and (dispute := _DISPUTE.fullmatch(step.cause)):
        status = DISPUTE_STATUSES.get(dispute[1], dispute[1])
        reason = DISPUTE_REASONS.get(dispute[2], dispute[2])
        return f"{status} ({reason})" if reason else status
    return CAUSES.get(step.cause, step.cause)


def failure_of(failure: str) -> str:
    """Say why a refund failed, as far as that is known."""
    if refusal := _REFUSAL.fullmatch(failure):
        code = f" ({refusal[1]})" if refusal[1] else ""
        return FAILURES.get(refusal[1], f"Stripe weigerde het{code}")
    return FAILURES.get(failure) or CAUSES.get(failure, failure)


def who_of(step: Step) -> str:
    """Say who did it: an owner by their address, or who else it was."""
    if step.who:
        return step.who
    if step.what.startswith(FROM_STRIPE) or step.cause == STRIPE:
        return "Stripe"
    return WHO.get(step.what, SHOP)
