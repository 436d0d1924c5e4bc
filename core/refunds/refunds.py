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
from core.models.checkout import Checkout
from core.models.mail import OWED_MAIL, REFUND_MAIL
from core.models.orders import FULFILLED, PAID, REFUNDED, REVIEW, Order
from core.models.records import (
    AMOUNT,
    PAID_TWICE,
    REFUND_FAILED,
    REFUND_WAITS,
    TOO_LATE,
    CheckoutStep,
    ToDo,
)
from core.models.refunds import AUTOMATIC, DONE, FAILED, OWNER, REQUESTED, SENT, Refund
from core.payments.data import Payment
from core.refunds import owed

FIRST_MINUTE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
ENTERED_AFTER = timedelta(days=1)
# Why a refund failed that could not even be asked for.
NO_PAYMENT = "Stripe names no payment"
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
    the goods were gone. One that Stripe gives no payment intent of cannot be sent back:
    a person has to look at it.
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
    refund = _automatic(checkout_id, payment, kind=kind, now=now)
    _add(session, refund)
    if not payment.payment_intent:
        fail(session, refund.id, failure=NO_PAYMENT, now=now)


def _automatic(
    checkout_id: int, payment: Payment, *, kind: str, now: datetime
) -> Refund:
    bill = payment.bill
    return Refund(
        idempotency_key=_automatic_key(payment.stripe_session_id),
        checkout_id=checkout_id,
        stripe_session_id=payment.stripe_session_id,
        payment_intent=payment.payment_intent or "",
        # Of what is back already nothing is left: Stripe answers with how it went back.
        amount_cents=bill.total_cents - payment.refunded_cents or bill.total_cents,
        currency=bill.currency,
        cause=AUTOMATIC,
        reason=kind,
        customer_email=bill.customer_email,
        created_at=now,
    )


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
    if amount_cents < 1 or not count(session, order_id, amount_cents, who=who, now=now):
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
    return refund.id


def count(
    session: Session, order_id: int, cents: int, *, now: datetime, who: str = ""
) -> bool:
    """
    Count *cents* as gone back, if so much is left; below 0 they are taken off.

    When all of an order for REVIEW has gone back there is nothing to agree to; when
    some of it comes again there is.
    """
    refunded = Order.refunded_cents + cents
    counted = session.execute(
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
        .returning(Order.checkout_id, Order.status)
        .execution_options(synchronize_session=False)
    ).first()
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


def _add(session: Session, refund: Refund) -> None:
    session.add(refund)
    session.flush()


def _tell(
    session: Session,
    refund: Refund,
    kind: str,
    *,
    is_again: bool = False,
    now: datetime,
) -> None:
    records.mail_refund(
        session,
        refund.id,
        kind,
        is_again=is_again,
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
    refund = session.get_one(
        Refund, refund_id, populate_existing=True, with_for_update=True
    )
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
        tick_off_settled(session, refund.payment_intent, now=now)
        _tell(session, refund, REFUND_MAIL, now=now)
    return True


def tick_off_settled(session: Session, payment_intent: str, *, now: datetime) -> None:
    """Tick off the failures of a payment of which nothing is owed any more."""
    failed = session.scalars(
        select(Refund).where(
            Refund.payment_intent == payment_intent, Refund.status == FAILED
        )
    )
    for refund in failed:
        if not owed.cents(session, refund):
            failures = ToDo.key.in_(failure_keys(refund))
            records.tick_off_all(session, failures, now=now)


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
        count(session, refund.order_id, -refund.amount_cents, now=now)
    if failure != owed.SENT_BACK_BEFORE:
        _tell_of_failure(session, refund, now=now)
    session.flush()
    return True


def _tell_of_failure(session: Session, refund: Refund, *, now: datetime) -> None:
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
    if refund.cause == AUTOMATIC or records.is_mailed_refund(session, refund.id):
        _tell(session, refund, OWED_MAIL, is_again=not is_new, now=now)


def failure_keys(refund: Refund) -> tuple[str, ...]:
    """Return the keys under which the owner's entry of a failure may be found."""
    # One that had failed before it was heard of is entered under its id at Stripe.
    names = filter(None, (refund.id, refund.stripe_refund_id))
    return tuple(f"refund-failed-{name}" for name in names)


def request_again(session: Session, refund_id: int, *, who: str, now: datetime) -> int:
    """
    Try what is owed of a FAILED refund once more, under a key of its own.

    Returns the new one's id. The owner's entry of the failure is ticked off: if this
    one fails it has its own. Raises NotFoundError if it has not failed, was tried again
    before, or nothing of it is owed any more.
    """
    failed = session.get(Refund, refund_id)
    if failed is None or failed.status != FAILED or not failed.payment_intent:
        raise NotFoundError("there is no failed refund to try again")
    key = owed.again_key(failed.id, failed.stripe_session_id)
    if session.scalar(select(Refund.id).where(Refund.idempotency_key == key)):
        raise NotFoundError("this refund was tried again before")
    cents = owed.cents(session, failed)
    if not cents:
        raise NotFoundError("nothing is owed of this refund any more")
    again_id = _ask_again(session, failed, cents, key=key, who=who, now=now)
    # After the order, as whoever notes a refund's end locks them in this turn, too.
    failures = ToDo.key.in_(failure_keys(failed))
    records.tick_off_all(session, failures, who=who, now=now)
    return again_id


def _ask_again(
    session: Session,
    failed: Refund,
    cents: int,
    *,
    key: str,
    who: str,
    now: datetime,
) -> int:
    if failed.order_id is not None:
        return request_by_owner(
            session,
            failed.order_id,
            cents,
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
        amount_cents=cents,
        currency=failed.currency,
        cause=OWNER,
        reason=failed.reason,
        who=who,
        customer_email=failed.customer_email,
        created_at=now,
    )
    _add(session, again)
    return again.id


def by_id(session: Session, refund_id: int) -> Refund | None:
    """Find a refund by its id."""
    return session.get(Refund, refund_id)
