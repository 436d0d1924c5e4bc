"""
How refunds go on: taken by Stripe, done, failed, and what each means for the order.

Invariant: what goes back of an order is never more than was paid. All functions are
rules: they work in the caller's transaction and never commit.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, not_, select
from sqlalchemy.orm import Session

from core import records
from core.database.rows import change
from core.errors import RefundRefusedError
from core.models.checkout import Checkout
from core.models.mail import OWED_MAIL, REFUND_MAIL, Mail
from core.models.orders import FULFILLED, PAID, REFUNDED, REVIEW, Order
from core.models.records import AMOUNT, REFUND_FAILED, REFUND_WAITS, CheckoutStep, ToDo
from core.models.refunds import AUTOMATIC, DONE, FAILED, REQUESTED, SENT, Refund
from core.refunds import owed

FIRST_MINUTE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
ENTERED_AFTER = timedelta(days=1)
# What may follow what: a report that comes late changes nothing.
_BEFORE = {
    SENT: (REQUESTED,),
    DONE: (REQUESTED, SENT),
    FAILED: (REQUESTED, SENT, DONE),
}


def payment_of(session: Session, payment_intent: str) -> Order | Refund | None:
    """Find the order of a payment, or the refund of one that came too late for it."""
    if not payment_intent:
        return None
    automatic = (Refund.payment_intent == payment_intent) & (Refund.cause == AUTOMATIC)
    return session.scalar(
        select(Order).where(Order.payment_intent == payment_intent)
    ) or session.scalar(select(Refund).where(automatic))


def of_payment(paid: Order | Refund) -> dict[str, Any]:
    """Return the columns that all refunds of a payment share."""
    return {
        "checkout_id": paid.checkout_id,
        "order_id": paid.id if isinstance(paid, Order) else paid.order_id,
        "stripe_session_id": paid.stripe_session_id,
        "payment_intent": paid.payment_intent,
        "currency": paid.currency,
        "customer_email": paid.customer_email,
    }


def count(
    session: Session, order_id: int, cents: int, *, now: datetime, who: str = ""
) -> None:
    """Count *cents* as gone back; RefundRefusedError unless that much is left."""
    if cents < 1 or not _try_count(session, order_id, cents, now=now, who=who):
        order = session.get_one(Order, order_id, populate_existing=True)
        left = order.amount_cents - order.refunded_cents
        raise RefundRefusedError(wanted_cents=cents, left_cents=left)


def _try_count(
    session: Session, order_id: int, cents: int, *, now: datetime, who: str = ""
) -> bool:
    """
    Count *cents* of an order as gone back, or as not gone back if below 0.

    False, and nothing changed, if that much is not left. Once all of an order for
    REVIEW has gone back there is nothing to accept; when some of it comes again there
    is.
    """
    refunded = Order.refunded_cents + cents
    status = case(
        (refunded == Order.amount_cents, REFUNDED),
        (Order.status != REFUNDED, Order.status),
        (Order.fulfilled_at.is_not(None), FULFILLED),
        (_is_to_review(), REVIEW),
        else_=PAID,
    )
    counted = change(
        session,
        Order,
        (Order.id == order_id) & refunded.between(0, Order.amount_cents),
        returning=("checkout_id", "status"),
        refunded_cents=refunded,
        status=status,
    )
    if counted is None:
        return False
    checkout_id, status = counted
    of_amount = (ToDo.checkout_id == checkout_id) & (ToDo.kind == AMOUNT)
    if status == REFUNDED:
        records.tick_off_all(session, of_amount, who=who, now=now)
    elif status == REVIEW and cents < 0:
        records.untick_all(session, of_amount)
    return True


def _is_to_review() -> ColumnElement[bool]:
    """Tell whether another sum was paid than asked for, and the owner accepted none."""
    entered = exists().where(ToDo.checkout_id == Order.checkout_id, ToDo.kind == AMOUNT)
    accepted = exists().where(
        CheckoutStep.checkout_id == Order.checkout_id,
        CheckoutStep.what == f"{REVIEW} to {PAID}",
    )
    return and_(entered, not_(accepted))


def put_off(session: Session, refund_id: int, *, now: datetime) -> None:
    """
    Let a refund that Stripe does not take be tried again, less and less often.

    After a day the owner has an entry. Safe to repeat.
    """
    refund = session.get_one(
        Refund, refund_id, populate_existing=True, with_for_update=True
    )
    if refund.status != REQUESTED:
        return
    waits_for = now - refund.created_at
    if waits_for >= FIRST_MINUTE:
        refund.retry_at = now + min(waits_for / 4, LONGEST_PAUSE)
    if waits_for >= ENTERED_AFTER:
        enter(session, refund, REFUND_WAITS, refund_id, now=now)


def enter(
    session: Session, refund: Refund, kind: str, name: int | str, *, now: datetime
) -> bool:
    """Enter a refund on the owner's list; False if a *kind* and *name* is there."""
    return records.add_to_do(
        session,
        kind,
        f"{kind.lower().replace('_', '-')}-{name}",
        checkout_id=refund.checkout_id,
        stripe_id=refund.stripe_refund_id or "",
        payment_intent=refund.payment_intent,
        amount_cents=refund.amount_cents,
        currency=refund.currency,
        now=now,
    )


def become(session: Session, refund_id: int, status: str, *, now: datetime) -> bool:
    """
    Let a refund go on to *status*; False if it is there already, or further.

    Once Stripe has taken it the customer has a letter: not before, as it may refuse.
    """
    may_follow = (Refund.id == refund_id) & Refund.status.in_(_BEFORE[status])
    moments = {FAILED: {"failed_at": now}, DONE: {"done_at": now}}
    moment: dict[str, Any] = moments.get(status, {})
    if not change(session, Refund, may_follow, status=status, **moment):
        return False
    waits = ToDo.key == f"refund-waits-{refund_id}"
    records.tick_off_all(session, waits, now=now)
    if status != FAILED:
        refund = session.get_one(Refund, refund_id, populate_existing=True)
        tick_off_failure(session, refund, now=now)
        tick_off_settled(session, refund.payment_intent, now=now)
        _tell(session, refund, REFUND_MAIL, refund_id, now=now)
    return True


def tick_off_settled(session: Session, payment_intent: str, *, now: datetime) -> None:
    """Tick off the failures of a payment of which nothing is owed any more."""
    of_payment = Refund.payment_intent == payment_intent
    failed = select(Refund).where(of_payment, Refund.status == FAILED)
    for refund in session.scalars(failed):
        if not owed.cents(session, refund):
            tick_off_failure(session, refund, now=now)


def tick_off_failure(
    session: Session, refund: Refund, *, who: str = "", now: datetime
) -> None:
    """Tick off the owner's entry of a failure."""
    failures = ToDo.key.in_(failure_keys(refund))
    records.tick_off_all(session, failures, who=who, now=now)


def fail(session: Session, refund_id: int, *, failure: str, now: datetime) -> bool:
    """
    Note that a refund was refused, or came back from the bank; the owner has an entry.

    Its part of the order's payment may go back again. A customer who expects the money
    has a letter; nobody is told if other refunds had paid it back before. Safe to
    repeat: returns False if that is known.
    """
    if not become(session, refund_id, FAILED, now=now):
        return False
    refund = session.get_one(Refund, refund_id, populate_existing=True)
    refund.failure = failure
    if refund.order_id is not None:
        _try_count(session, refund.order_id, -refund.amount_cents, now=now)
    if failure != owed.SENT_BACK_BEFORE:
        _tell_of_failure(session, refund, now=now)
    session.flush()
    return True


def _tell_of_failure(session: Session, refund: Refund, *, now: datetime) -> None:
    name: int | str = refund.id
    if not enter(session, refund, REFUND_FAILED, name, now=now):
        records.bring_up_again(session, f"refund-failed-{name}", "again", now=now)
        name = f"{name}-again"
    expected = select(Mail.id).where(Mail.key == f"refund-{refund.id}")
    if refund.cause == AUTOMATIC or session.scalar(expected) is not None:
        _tell(session, refund, OWED_MAIL, name, now=now)


def _tell(
    session: Session, refund: Refund, kind: str, name: int | str, *, now: datetime
) -> None:
    """Write to the customer of a refund: one letter of a *kind* and *name*."""
    if refund.customer_email:
        key = f"{kind.lower()}-{name}"
        to = addressed(session, refund.checkout_id, refund.customer_email)
        about = {"refund_id": refund.id, **to}
        records.add_mail(session, key, kind, refund.checkout_id, now=now, **about)


def addressed(session: Session, checkout_id: int, email: str) -> dict[str, str]:
    """Return whom a letter is for, and the language that their checkout was in."""
    locale = session.scalar(select(Checkout.locale).where(Checkout.id == checkout_id))
    return {"recipient": email, "locale": locale or "nl"}


def failure_keys(refund: Refund) -> tuple[str, ...]:
    """Return the keys under which the owner's entry of a failure may be found."""
    # One that had failed before it was heard of is entered under its id at Stripe.
    names = filter(None, (refund.id, refund.stripe_refund_id))
    return tuple(f"refund-failed-{name}" for name in names)
