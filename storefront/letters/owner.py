"""
The letters to the owners: what a person has to look at.

An entry that was ticked off meanwhile is told all the same: the owners should know.
"""

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from core.models.mail import Mail
from core.models.records import AMOUNT
from core.models.refunds import DISPUTE_OVER
from core.owner import accounts, to_dos
from core.owner.to_do_words import words_of
from core.owner.to_dos import ToDoView
from storefront import language
from storefront.extensions import current_shop
from storefront.letters.parts import Content, Row

# The first owner's login if none was given: an address that mail does not reach.
NO_ADDRESS = "@localhost"


def to_do(session: Session, mail: Mail) -> Content | None:
    """Tell every owner who has an address of an entry; None if it is not there."""
    entry = to_dos.entry(session, mail.to_do_id or 0)
    if entry is None:
        return None
    title, explanation = words_of(entry, language.current())
    is_real = current_shop().config.smtp is not None
    return Content(
        recipients=tuple(
            email
            for email in accounts.emails(session)
            if not (is_real and email.endswith(NO_ADDRESS))
        ),
        subject=_("To do: %(title)s", title=title),
        opening=(explanation,),
        rows=_facts(entry),
        closing=(
            _("It stays on the page “To do” of the dashboard until you tick it off."),
        ),
    )


def _facts(entry: ToDoView) -> tuple[Row, ...]:
    asked, answer_by, dispute = "", "", entry.dispute
    if entry.kind == AMOUNT and entry.order_id:
        asked = language.money(entry.asked_cents, entry.asked_currency)
    if dispute and dispute.due_by and dispute.status not in DISPUTE_OVER:
        answer_by = language.moment(dispute.due_by)
    facts = {
        _("Date"): language.moment(entry.created_at),
        _("Order"): str(entry.order_id or ""),
        _("Customer"): entry.customer,
        _("Amount"): language.money(entry.amount_cents, entry.currency),
        _("Asked for"): asked,
        _("Answer before"): answer_by,
        _("At Stripe"): entry.stripe_id,
        _("Payment"): entry.payment_intent,
    }
    return tuple(Row(label, figure) for label, figure in facts.items() if figure)
