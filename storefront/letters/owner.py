"""
The letters to the owner: what a person has to look at.

The words are made when a letter is sent: an entry that was ticked off meanwhile is told
all the same, as the owner should know of it.
"""

from collections.abc import Mapping
from datetime import datetime

from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session

from core.models.mail import Mail
from core.models.records import (
    AMOUNT,
    DISPUTED,
    PAID_TWICE,
    REFUND_FAILED,
    REFUND_WAITS,
    RESTOCK,
    TOO_LATE,
    UNKNOWN_SESSION,
)
from core.models.refunds import DISPUTE_LOST, DISPUTE_OVER, DISPUTE_PREVENTED
from core.owner import accounts, to_dos
from core.owner.to_dos import ToDoView
from storefront import language
from storefront.extensions import current_shop
from storefront.letters.parts import Content, Row

# The first owner's login where none was given: it is no address that mail reaches.
NO_ADDRESS = "@localhost"
# What has happened, and what is to be done about it.
WORDS = {
    AMOUNT: (
        lazy_gettext("A payment has another amount than promised"),
        lazy_gettext(
            "A customer paid another amount, or in another currency, than the shop had"
            " asked for. The products are sold to this order: compare the amounts and"
            " decide whether to send them."
        ),
    ),
    TOO_LATE: (
        lazy_gettext("A payment came too late"),
        lazy_gettext(
            "A payment came after its hold was over, and the products had been sold to"
            " somebody else. The shop sends back what was paid by itself and tells the"
            " customer; you need do nothing as long as that succeeds."
        ),
    ),
    PAID_TWICE: (
        lazy_gettext("A cart was paid for twice"),
        lazy_gettext(
            "A customer paid twice for the same cart. The order stands; the shop sends"
            " the second payment back by itself and tells the customer."
        ),
    ),
    REFUND_FAILED: (
        lazy_gettext("A refund failed"),
        lazy_gettext(
            "Stripe or the customer's bank did not carry out a refund, so the customer"
            " does not have the money back. Try it again in the dashboard, or pay it"
            " back another way."
        ),
    ),
    REFUND_WAITS: (
        lazy_gettext("A refund has been waiting for a day"),
        lazy_gettext(
            "Stripe has not taken a refund for a whole day. The shop goes on trying."
            " Look at Stripe whether the balance is high enough and whether the shop's"
            " key may make refunds."
        ),
    ),
    RESTOCK: (
        lazy_gettext("A refund was made at Stripe"),
        lazy_gettext(
            "A payment was sent back at Stripe itself, where nobody is asked about the"
            " products. Say in the dashboard which of them come back to the stock, if"
            " any do."
        ),
    ),
    DISPUTED: (
        lazy_gettext("A customer disputes a payment"),
        lazy_gettext(
            "The customer's bank claims a payment back. Answer it at Stripe before the"
            " term is over: without an answer the money is lost."
        ),
    ),
    UNKNOWN_SESSION: (
        lazy_gettext("A payment belongs to no checkout"),
        lazy_gettext(
            "Stripe has a payment with the mark of this shop, but the shop knows no"
            " checkout of it, for example because its database was put back. Look it up"
            " at Stripe, and send it back or deliver what was bought."
        ),
    ),
}
# How a dispute has ended: the money is gone, and with it the order, or it stays.
LOST = (
    lazy_gettext("A dispute is lost"),
    lazy_gettext(
        "The bank has decided for the customer: the amount below is back with the"
        " customer."
    ),
)
UNPAID = (
    LOST[0],
    lazy_gettext(
        "The bank has decided for the customer: the money is back with the customer,"
        " and the order is not paid any more. Products that you have not sent yet, you"
        " need not send."
    ),
)
PREVENTED = (
    lazy_gettext("A dispute was prevented"),
    lazy_gettext(
        "The dispute was stopped before it began. Look at Stripe whether the amount was"
        " given back for that."
    ),
)
KEPT = (
    lazy_gettext("A dispute is over"),
    lazy_gettext("It ended without a loss: you keep the money."),
)


def to_do(session: Session, mail: Mail) -> Content | None:
    """Tell every owner who has an address of an entry."""
    entry = to_dos.entry(session, mail.to_do_id or 0)
    if entry is None:
        return None
    title, explanation = (str(words) for words in _words(entry))
    return Content(
        recipients=_owners(session),
        subject=gettext("To do: %(title)s", title=title),
        opening=(explanation,),
        rows=_facts(entry),
        closing=(
            gettext(
                "It stays on the page “To do” of the dashboard until you tick it off."
            ),
        ),
    )


def _owners(session: Session) -> tuple[str, ...]:
    is_real = current_shop().config.smtp is not None
    return tuple(
        email
        for email in accounts.emails(session)
        if not (is_real and email.endswith(NO_ADDRESS))
    )


def _words(entry: ToDoView) -> tuple[object, object]:
    if entry.dispute and entry.dispute.status in DISPUTE_OVER:
        ended = {DISPUTE_LOST: LOST, DISPUTE_PREVENTED: PREVENTED}
        is_unpaid = entry.dispute.status == DISPUTE_LOST and entry.is_order_unpaid
        return UNPAID if is_unpaid else ended.get(entry.dispute.status, KEPT)
    return WORDS[entry.kind]


def _facts(entry: ToDoView) -> tuple[Row, ...]:
    def moment(at: datetime | None) -> str:
        return f"{language.day(at)}, {language.clock(at)}" if at else ""

    asked = ""
    if entry.kind == AMOUNT and entry.order_id:
        asked = language.money(entry.asked_cents, entry.asked_currency)
    due_by = None
    if entry.dispute and entry.dispute.status not in DISPUTE_OVER:
        due_by = entry.dispute.due_by
    facts: Mapping[str, str] = {
        gettext("Date"): moment(entry.created_at),
        gettext("Order"): str(entry.order_id or ""),
        gettext("Customer"): entry.customer,
        gettext("Amount"): language.money(entry.amount_cents, entry.currency),
        gettext("Asked for"): asked,
        gettext("Answer before"): moment(due_by),
        gettext("At Stripe"): entry.stripe_id,
        gettext("Payment"): entry.payment_intent,
    }
    return tuple(Row(label, figure) for label, figure in facts.items() if figure)
