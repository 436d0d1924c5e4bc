"""
Money that goes back to customers: requested here, sent by `refunding`.

Invariant: what goes back of an order is never more than was paid, and a payment whose
units were gone goes back once. All functions are rules: they work in the caller's
transaction and never commit. What Stripe says of refunds is in `refund_reports`.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, exists, not_, select, update
from sqlalchemy.orm import Session

from core import records
from core.clock import new_token
from core.errors import NotFoundError, RefundRefusedError
from core.models import (
    AMOUNT,
    AUTOMATIC,
    DONE,
    FAILED,
    FULFILLED,
    OWED_MAIL,
    OWNER,
    PAID,
    PAID_TWICE,
    REFUND_FAILED,
    REFUND_MAIL,
    REFUND_WAITS,
    REFUNDED,
    REQUESTED,
    REVIEW,
    SENT,
    TOO_LATE,
    Checkout,
    CheckoutStep,
    Order,
    Refund,
    ToDo,
)
from core.payment_data import Payment

FIRST_MINUTE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
ENTERED_AFTER = timedelta(days=1)
# Why a refund failed, where Stripe has no word for it.
NO_PAYMENT = "Stripe names no payment"
SENT_BACK_BEFORE = "already sent back"
# What may follow what: a report that comes late changes nothing.
_BEFORE = {
    SENT: (REQUESTED,),
    DONE: (REQUESTED, SENT),
    FAILED: (REQUESTED, SENT, DONE),
}


def automatic_of(session: Session, stripe_session_id: str) -> Refund | None:
    """Return the refund of a payment that found its units gone, if there is one."""
    return session.scalar(
        select(Refund).where(
            Refund.idempotency_key == _automatic_key(stripe_session_id)
        )
    )


def is_owed(session: Session, refund: Refund) -> bool:
    """Tell whether a refund has failed, and no other one has taken its place."""
    if refund.status != FAILED:
        return False
    instead = select(Refund.id).where(
        Refund.payment_intent == refund.payment_intent, Refund.status != FAILED
    )
    return session.scalar(instead.limit(1)) is None


def was_sent_back(session: Session, stripe_session_id: str) -> bool:
    """Tell whether it was decided that this payment buys nothing; that stays so."""
    keys = [f"{kind}-{stripe_session_id}" for kind in (TOO_LATE, PAID_TWICE)]
    entered = session.scalar(select(ToDo.id).where(ToDo.key.in_(keys)).limit(1))
    return entered is not None or automatic_of(session, stripe_session_id) is not None


def _automatic_key(stripe_session_id: str) -> str:
    return f"refund-{stripe_session_id}"


def request_automatic(
    session: Session,
    checkout_id: int,
    payment: Payment,
    *,
    kind: str,
    now: datetime,
) -> None:
    """
    Send a payment back, or what is left of it: *kind* is TOO_LATE or PAID_TWICE.

    It is sent after commit, and the owner has an entry. Safe to repeat: a session has
    one such refund. Where nothing was paid there is none, but the customer is told that
    the goods were gone. One that Stripe gives no payment intent
    of cannot be sent back: a person has to look at it.
    """
    bill, stripe_session_id = payment.bill, payment.stripe_session_id
    records.add_to_do(
        session,
        kind,
        f"{kind}-{stripe_session_id}",
        checkout_id=checkout_id,
        stripe_id=stripe_session_id,
        payment_intent=payment.payment_intent or "",
        amount_cents=bill.total_cents,
        currency=bill.currency,
        now=now,
    )
    if bill.total_cents == 0:
        if kind == TOO_LATE:
            _tell_of_nothing(session, checkout_id, payment, now=now)
        return
    if automatic_of(session, stripe_session_id):
        return
    refund = Refund(
        idempotency_key=_automatic_key(stripe_session_id),
        checkout_id=checkout_id,
        stripe_session_id=stripe_session_id,
        payment_intent=payment.payment_intent or "",
        # Of what is back already nothing is left: Stripe answers with how it went back.
        amount_cents=bill.total_cents - payment.refunded_cents or bill.total_cents,
        currency=bill.currency,
        cause=AUTOMATIC,
        reason=kind,
        customer_email=bill.customer_email,
        created_at=now,
    )
    _add(session, refund)
    if not payment.payment_intent:
        fail(session, refund.id, failure=NO_PAYMENT, now=now)


def _tell_of_nothing(
    session: Session, checkout_id: int, payment: Payment, *, now: datetime
) -> None:
    """Tell a customer who had nothing to pay that the goods were gone."""
    records.mail_gone(
        session,
        payment.stripe_session_id,
        checkout_id=checkout_id,
        recipient=payment.bill.customer_email,
        locale=_locale(session, checkout_id),
        now=now,
    )


def _locale(session: Session, checkout_id: int) -> str:
    locale = session.scalar(select(Checkout.locale).where(Checkout.id == checkout_id))
    return locale or "nl"


def request_by_owner(  # noqa: PLR0913 (an order, what goes back of it, and why)
    session: Session,
    order_id: int,
    amount_cents: int,
    *,
    reason: str = "",
    key: str | None = None,
    who: str,
    now: datetime,
) -> int:
    """
    Send some of an order's payment back, or all that is left; return the refund's id.

    It is sent after commit. Raises RefundRefusedError for more than is left. Not safe
    to repeat, unless a *key* names the refund: then the second call returns the first
    one's id.
    """
    known = select(Refund.id).where(Refund.idempotency_key == key)
    if key and (refund_id := session.scalar(known)):
        return refund_id
    order = session.get(Order, order_id)
    if order is None or not order.payment_intent:
        raise NotFoundError("there is no payment to send back")
    if amount_cents < 1 or not count(session, order_id, amount_cents):
        session.refresh(order)
        left = order.amount_cents - order.refunded_cents
        raise RefundRefusedError(wanted_cents=amount_cents, left_cents=left)
    refund = Refund(
        idempotency_key=key or f"refund-{new_token()}",
        checkout_id=order.checkout_id,
        order_id=order_id,
        stripe_session_id=order.stripe_session_id,
        payment_intent=order.payment_intent,
        amount_cents=amount_cents,
        currency=order.currency,
        cause=OWNER,
        reason=reason,
        who=who,
        customer_email=order.customer_email,
        created_at=now,
    )
    _add(session, refund)
    session.refresh(order)
    if order.status == REFUNDED:
        # Nothing is left to be agreed to.
        records.tick_off_all(
            session,
            (ToDo.checkout_id == order.checkout_id) & (ToDo.kind == AMOUNT),
            who=who,
            now=now,
        )
    return refund.id


def count(session: Session, order_id: int, cents: int) -> bool:
    """Count *cents* as gone back, if so much is left; below 0 they are taken off."""
    refunded = Order.refunded_cents + cents
    counted = session.scalar(
        update(Order)
        .where(Order.id == order_id, refunded.between(0, Order.amount_cents))
        .values(
            refunded_cents=refunded,
            status=case(
                (refunded == Order.amount_cents, REFUNDED),
                (Order.status != REFUNDED, Order.status),
                (Order.fulfilled_at.is_not(None), FULFILLED),
                (_is_to_review(), REVIEW),
                else_=PAID,
            ),
        )
        .returning(Order.id)
        .execution_options(synchronize_session=False)
    )
    return counted is not None


def _is_to_review() -> ColumnElement[bool]:
    """Tell whether another sum was paid than asked for, and the owner accepted none."""
    entered = exists().where(ToDo.checkout_id == Order.checkout_id, ToDo.kind == AMOUNT)
    accepted = exists().where(
        CheckoutStep.checkout_id == Order.checkout_id,
        CheckoutStep.what == f"{REVIEW} to {PAID}",
    )
    return and_(entered, not_(accepted))


def _add(session: Session, refund: Refund) -> None:
    session.add(refund)
    session.flush()


def _tell(session: Session, refund: Refund, kind: str, *, now: datetime) -> None:
    records.mail_refund(
        session,
        refund.id,
        kind,
        checkout_id=refund.checkout_id,
        recipient=refund.customer_email,
        locale=_locale(session, refund.checkout_id),
        now=now,
    )


def put_off(session: Session, refund_id: int, *, now: datetime) -> None:
    """
    Let a refund that Stripe does not take be tried again: at once, then ever rarer.

    After a day the owner has an entry. Safe to repeat.
    """
    refund = session.get_one(Refund, refund_id, populate_existing=True)
    if refund.status != REQUESTED:
        return
    waits_for = now - refund.created_at
    if waits_for >= FIRST_MINUTE:
        refund.retry_at = now + min(waits_for / 4, LONGEST_PAUSE)
    if waits_for >= ENTERED_AFTER:
        records.add_to_do(
            session,
            REFUND_WAITS,
            f"refund-waits-{refund_id}",
            checkout_id=refund.checkout_id,
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
    moment = {FAILED: Refund.failed_at, DONE: Refund.done_at}.get(status)
    changed = session.scalar(
        update(Refund)
        .where(Refund.id == refund_id, Refund.status.in_(_BEFORE[status]))
        .values({Refund.status: status} | ({moment: now} if moment else {}))
        .returning(Refund.id)
        .execution_options(synchronize_session=False)
    )
    if changed is None:
        return False
    waits = ToDo.key == f"refund-waits-{refund_id}"
    records.tick_off_all(session, waits, now=now)
    if status != FAILED:
        refund = session.get_one(Refund, refund_id, populate_existing=True)
        failures = ToDo.key.in_(failure_keys(refund))
        records.tick_off_all(session, failures, now=now)
        _tell(session, refund, REFUND_MAIL, now=now)
    return True


def fail(session: Session, refund_id: int, *, failure: str, now: datetime) -> bool:
    """
    Note that a refund was refused, or came back from the bank; the owner has an entry.

    What it had taken of the order is free again. A customer who expects the money has a
    letter. Nobody is told where the money had gone back before by other refunds. Safe
    to repeat: returns False if that is known.
    """
    if not become(session, refund_id, FAILED, now=now):
        return False
    refund = session.get_one(Refund, refund_id, populate_existing=True)
    refund.failure = failure
    if refund.order_id is not None:
        count(session, refund.order_id, -refund.amount_cents)
    if failure != SENT_BACK_BEFORE:
        _tell_of_failure(session, refund, now=now)
    session.flush()
    return True


def _tell_of_failure(session: Session, refund: Refund, *, now: datetime) -> None:
    if refund.cause == AUTOMATIC or records.is_mailed_refund(session, refund.id):
        _tell(session, refund, OWED_MAIL, now=now)
    key = f"refund-failed-{refund.id}"
    is_new = records.add_to_do(
        session,
        REFUND_FAILED,
        key,
        checkout_id=refund.checkout_id,
        stripe_id=refund.stripe_refund_id or "",
        payment_intent=refund.payment_intent,
        amount_cents=refund.amount_cents,
        currency=refund.currency,
        now=now,
    )
    if not is_new:
        records.bring_up_again(session, key, "again", now=now)


def failure_keys(refund: Refund) -> tuple[str, ...]:
    """Return the keys under which the owner's entry of a failure may be found."""
    # One that had failed before it was heard of is entered under its id at Stripe.
    names = filter(None, (refund.id, refund.stripe_refund_id))
    return tuple(f"refund-failed-{name}" for name in names)


def again_key(refund_id: int, stripe_session_id: str) -> str:
    """
    Return the key under which a refund that FAILED is tried again, which is once.

    The session makes it ours: another shop in this Stripe account has such numbers too.
    """
    return f"again-{refund_id}-{stripe_session_id}"


def request_again(session: Session, refund_id: int, *, who: str, now: datetime) -> int:
    """
    Try a FAILED refund once more, under a key of its own; return the new one's id.

    The owner's entry of the failure is ticked off: if this one fails it has its own.
    Raises NotFoundError if it has not failed or was tried again before.
    """
    failed = session.get(Refund, refund_id)
    if failed is None or failed.status != FAILED or not failed.payment_intent:
        raise NotFoundError("there is no failed refund to try again")
    key = again_key(failed.id, failed.stripe_session_id)
    if session.scalar(select(Refund.id).where(Refund.idempotency_key == key)):
        raise NotFoundError("this refund was tried again before")
    again_id = _ask_again(session, failed, key, who=who, now=now)
    # After the order, as whoever notes a refund's end locks them in this turn, too.
    failures = ToDo.key.in_(failure_keys(failed))
    records.tick_off_all(session, failures, who=who, now=now)
    return again_id


def _ask_again(
    session: Session, failed: Refund, key: str, *, who: str, now: datetime
) -> int:
    if failed.order_id is not None:
        return request_by_owner(
            session,
            failed.order_id,
            failed.amount_cents,
            reason=failed.reason,
            key=key,
            who=who,
            now=now,
        )
    again = Refund(
        idempotency_key=key,
        checkout_id=failed.checkout_id,
        stripe_session_id=failed.stripe_session_id,
        payment_intent=failed.payment_intent,
        amount_cents=failed.amount_cents,
        currency=failed.currency,
        cause=OWNER,
        reason=failed.reason,
        who=who,
        customer_email=failed.customer_email,
        created_at=now,
    )
    _add(session, again)
    return again.id
