"""Every step of a sale, a refund and a letter, and how the storefront comes there."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.checkout.events import ABOUT_REFUNDS
from core.models.mail import READY, SENDING
from core.models.refunds import DONE, REQUESTED, SENT
from tests.concurrency.standing import REFUNDS, SESSIONS, Found, Stage
from tests.factories import COMPLETED

EXPIRED_EVENT = "checkout.session.expired"

Reach = Callable[[Stage], None]


@dataclass(frozen=True)
class Step:
    """A place to die: how to come there, and what is there then."""

    name: str
    reach: Reach
    found: Found

    def __str__(self) -> str:
        return self.name


def reserving(stage: Stage) -> None:
    """All of the reservation is written, but its commit."""
    stage.trap("INSERT", "stock_reservation", "true")
    stage.shopper()
    stage.wait_in_trap()


def reserved(stage: Stage) -> None:
    """
    The reservation is committed, and Stripe has done nothing.

    From outside it cannot be held before the call itself: the call is there, and Stripe
    takes no notice of it, then or later.
    """
    stage.hang("create", SESSIONS)
    stage.shopper()
    stage.wait_for_call(SESSIONS)


def page_made(stage: Stage) -> None:
    """Stripe has made the page and has not answered."""
    stage.stripe.barrier("create", after=True)
    stage.shopper()
    stage.stripe.wait_for_waiter("create")


def page_answered(stage: Stage) -> None:
    """The answer was read, the page is about to be noted."""
    stage.trap("UPDATE OF stripe_session_id", "stock_reservation", "true")
    stage.shopper()
    stage.wait_in_trap()


def page_noted(stage: Stage) -> None:
    """
    The page is noted, and the customer has no address.

    It may have been sent to him: he never reads it.
    """
    cart = {"items": [{"product_id": stage.mug, "quantity": 1}]}
    stage.ask_in_vain("/api/checkout", json.dumps(cart))
    stage.wait_until(lambda found: found.noted == 1)


def expiry_asked(stage: Stage) -> None:
    """The hold is over; Stripe is asked to close the page and takes no notice."""
    stage.hang("expire", "/expire")
    stage.page()
    stage.wait_for_call("/expire")


def expired_at_stripe(stage: Stage) -> None:
    """Stripe has closed the page and has not answered; its event comes later."""
    stage.stripe.webhooks("hold", types=[EXPIRED_EVENT])
    stage.stripe.barrier("expire", after=True)
    stage.page()
    stage.stripe.wait_for_waiter("expire")


def giving_back(stage: Stage) -> None:
    """Stripe's answer was read, and the units are about to be given back."""
    stage.trap("UPDATE OF reserved", "product", "NEW.reserved < OLD.reserved")
    stage.page()
    stage.wait_in_trap()


def paid(stage: Stage) -> None:
    """The event about a payment is there, and Stripe is asked for the session."""
    stage.stripe.barrier("retrieve")
    stage.pay(stage.page())
    stage.stripe.wait_for_waiter("retrieve")


def payment_seen(stage: Stage) -> None:
    """Stripe has told what the session is, but its answer was not read."""
    stage.stripe.barrier("retrieve", after=True)
    stage.pay(stage.page())
    stage.stripe.wait_for_waiter("retrieve")


def selling(stage: Stage) -> None:
    """All of the sale is written, but its commit."""
    stage.trap("INSERT", "mail", "NEW.kind = 'ORDER'")
    stage.pay(stage.page())
    stage.wait_in_trap()


def sold(stage: Stage) -> None:
    """
    The sale is committed, and Stripe has not heard of it.

    The answer may have been sent: nobody reads it, and Stripe sends the event again.
    """
    stage.stripe.webhooks("hold", types=[COMPLETED])
    stage.report_in_vain(stage.pay(stage.page()))
    stage.wait_until(lambda found: found.orders == 1)


def selling_late(stage: Stage) -> None:
    """Late money found its units free; they are taken and sold, but for the commit."""
    late = stage.late_page()
    stage.trap("INSERT", "mail", "NEW.kind = 'ORDER'")
    stage.pay(late)
    stage.wait_in_trap()


def deciding_refund(stage: Stage) -> None:
    """Late money found no units; its refund is written, but for the commit."""
    late = stage.late_page(units_are_gone=True)
    stage.trap("INSERT", "refund", "NEW.cause = 'AUTOMATIC'")
    stage.pay(late)
    stage.wait_in_trap()


def refund_decided(stage: Stage) -> None:
    """The refund is committed; the call is there, and Stripe takes no notice of it."""
    late = stage.late_page(units_are_gone=True)
    stage.hang("refund", REFUNDS)
    stage.pay(late)
    stage.wait_for_call(REFUNDS)


def refund_made(stage: Stage) -> None:
    """Stripe has made the refund and has not answered; its event comes later."""
    late = stage.late_page(units_are_gone=True)
    stage.stripe.webhooks("hold", types=ABOUT_REFUNDS)
    stage.stripe.barrier("refund", after=True)
    stage.pay(late)
    stage.stripe.wait_for_waiter("refund")


def refund_answered(stage: Stage) -> None:
    """The answer was read, and the refund is about to be noted as made."""
    late = stage.late_page(units_are_gone=True)
    stage.stripe.webhooks("hold", types=ABOUT_REFUNDS)
    stage.trap("UPDATE OF status", "refund", "NEW.status = 'DONE'")
    stage.pay(late)
    stage.wait_in_trap()


def refund_told(stage: Stage) -> None:
    """The customer's letter about the refund is written, but for the commit."""
    late = stage.late_page(units_are_gone=True)
    stage.stripe.webhooks("hold", types=ABOUT_REFUNDS)
    stage.trap("INSERT", "mail", "NEW.kind = 'REFUND'")
    stage.pay(late)
    stage.wait_in_trap()


def refund_noted(stage: Stage) -> None:
    """
    The refund is noted as made, and Stripe has not heard what became of the payment.

    As with a sale, the answer may have been sent.
    """
    late = stage.late_page(units_are_gone=True)
    stage.stripe.webhooks("hold")
    stage.report_in_vain(stage.pay(late))
    stage.wait_until(lambda found: found.refunds == (DONE,))


def claiming_letter(stage: Stage) -> None:
    """A sender takes the letter, but for the commit."""
    stage.trap("UPDATE OF claim", "mail", "NEW.kind = 'ORDER'")
    stage.pay(stage.page())
    stage.wait_in_trap()


def letter_claimed(stage: Stage) -> None:
    """The letter is claimed; the mail server was told of it and has no line of it."""
    stage.mail.hold("DATA")
    stage.pay(stage.page())
    stage.mail.wait_for("DATA")


def letter_without_its_dot(stage: Stage) -> None:
    """All but the dot was sent; the note that it comes is written, but its commit."""
    stage.trap("UPDATE OF status", "mail", "NEW.status = 'SENDING'")
    stage.pay(stage.page())
    stage.wait_in_trap()


def letter_ended(stage: Stage) -> None:
    """The dot was sent; the mail server has the letter and has not said so."""
    stage.mail.hold("DOT")
    stage.pay(stage.page())
    stage.mail.wait_for("DOT")


def letter_taken(stage: Stage) -> None:
    """The mail server has said so; that it was sent is written, but its commit."""
    stage.trap("UPDATE OF status", "mail", "NEW.status = 'SENT'")
    stage.pay(stage.page())
    stage.wait_in_trap()


def letter_sent(stage: Stage) -> None:
    """The letter is noted as sent."""
    stage.pay(stage.page())
    stage.wait_until(lambda found: found.letter == SENT)


HELD = Found(pending=1)
OFFERED = Found(pending=1, noted=1, pages=("open",), answered=1)
CLOSED = replace(OFFERED, pages=("expired",))
PAID = replace(OFFERED, pages=("complete",))
SOLD = replace(PAID, pending=0, orders=1, letter=READY)
TOLD = replace(SOLD, told=1)
LATE = Found(noted=1, pages=("complete", "expired"), answered=1)
GONE = Found(
    noted=2,
    pages=("complete", "complete", "expired"),
    answered=2,
    orders=1,
    told=1,
    letter=SENT,
    arrived=1,
)

# In the order in which they come.
STEPS = (
    Step("the reservation is not committed", reserving, Found()),
    Step("Stripe has not heard of the reservation", reserved, HELD),
    Step("Stripe has made the page", page_made, replace(HELD, pages=("open",))),
    Step("the page is not noted", page_answered, replace(HELD, pages=("open",))),
    Step("the customer has no address", page_noted, replace(OFFERED, answered=0)),
    Step("Stripe has not heard of the expiry", expiry_asked, OFFERED),
    Step("Stripe has closed the page", expired_at_stripe, CLOSED),
    Step("the units are not given back", giving_back, CLOSED),
    Step("Stripe is not asked after the payment", paid, PAID),
    Step("Stripe has told of the payment", payment_seen, PAID),
    Step("the sale is not committed", selling, PAID),
    Step("Stripe has no answer about the sale", sold, SOLD),
    Step("the late sale is not committed", selling_late, LATE),
    Step("the refund is not committed", deciding_refund, GONE),
    Step(
        "Stripe has not heard of the refund",
        refund_decided,
        replace(GONE, refunds=(REQUESTED,)),
    ),
    Step(
        "Stripe has made the refund",
        refund_made,
        replace(GONE, refunds=(REQUESTED,), sent_back=1),
    ),
    Step(
        "the refund is not noted as made",
        refund_answered,
        replace(GONE, refunds=(REQUESTED,), sent_back=1),
    ),
    Step(
        "the letter about the refund is not committed",
        refund_told,
        replace(GONE, refunds=(REQUESTED,), sent_back=1),
    ),
    Step(
        "Stripe has no answer about the late money",
        refund_noted,
        replace(GONE, refunds=(DONE,), sent_back=1),
    ),
    Step("the letter is not claimed", claiming_letter, TOLD),
    Step("the letter is claimed", letter_claimed, TOLD),
    Step("the letter has no dot", letter_without_its_dot, TOLD),
    Step("the letter is ended", letter_ended, replace(TOLD, letter=SENDING, arrived=1)),
    Step(
        "the letter is not noted as sent",
        letter_taken,
        replace(TOLD, letter=SENDING, arrived=1),
    ),
    Step("the letter is sent", letter_sent, replace(TOLD, letter=SENT, arrived=1)),
)
