"""
Refunds sent to Stripe, and what Stripe reports of refunds and disputes.

Workflows: a decision is committed first, then Stripe is asked, then its answer is
recorded. Safe to repeat and to race.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core.errors import (
    AlreadyRefundedError,
    PaymentError,
    PaymentUnavailableError,
    RefundRefusedError,
    ShopError,
)
from core.models.orders import Order
from core.models.refunds import AUTOMATIC, REQUESTED, SENT, Refund
from core.payments.data import DisputeReport, RefundReport
from core.payments.pace import paced
from core.refunds import disputes, owed, progress, stripe_reports
from core.shop import Shop

logger = logging.getLogger(__name__)

BATCH = 100
CALLS_AT_ONCE = 8
# Stripe forgets a key after a day: then the same request would be another refund.
KEY_LIVES = timedelta(hours=23)
# Stripe repeats an error that it stored under a key: after this another key is used.
ANOTHER_KEY_AFTER = timedelta(seconds=10)


def send_refunds(shop: Shop, *, of_session: str | None = None) -> int:
    """
    Send requested refunds, or those of one session, to Stripe; return how many went.

    Safe to repeat: each has its key, so it goes once however often it is tried.
    """
    may_be_tried = or_(Refund.retry_at.is_(None), Refund.retry_at <= shop.clock())
    query = (
        select(Refund)
        .where(Refund.status == REQUESTED, may_be_tried)
        .order_by(Refund.created_at)
    )
    if of_session is not None:
        query = query.where(Refund.stripe_session_id == of_session)
    with shop.database.read() as session:
        requested = session.scalars(query.limit(BATCH)).all()
    if not requested:
        return 0
    with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(requested))) as callers:
        return sum(callers.map(lambda refund: _send(shop, refund), requested))


def _send(shop: Shop, refund: Refund) -> bool:
    record: Callable[..., object]
    try:
        report = _refunded(shop, refund)
    except PaymentUnavailableError as error:
        logger.warning("refund %s is tried again: %s", refund.id, error)
        record, is_sent = progress.put_off, False
    except PaymentError as error:
        logger.error("Stripe refused refund %s: %s", refund.id, error)
        is_back = isinstance(error, AlreadyRefundedError)
        failure = owed.SENT_BACK_BEFORE if is_back else str(error)
        record, is_sent = partial(progress.fail, failure=failure), False
    else:
        record, is_sent = partial(stripe_reports.take_answer, report=report), True
    shop.database.write(lambda session: record(session, refund.id, now=shop.clock()))
    return is_sent


def _refunded(shop: Shop, refund: Refund) -> RefundReport:
    age = shop.clock() - refund.created_at
    made = _made_before(shop, refund) if age > KEY_LIVES else None
    if made is not None:
        return made
    ask = partial(
        shop.gateway.refund,
        refund.payment_intent,
        refund.amount_cents,
        key=refund.idempotency_key,
    )
    try:
        return ask()
    except PaymentUnavailableError as error:
        if refund.cause != AUTOMATIC or not error.is_concluded:
            raise
    # Under this key Stripe would repeat its error for a day. Another key is safe: this
    # refund is of all that is left of the payment, which can go back only once.
    made = _made_before(shop, refund)
    number = (shop.clock() - refund.created_at) // ANOTHER_KEY_AFTER
    return made or ask(attempt=f"{refund.idempotency_key}-again-{number}")


def _made_before(shop: Shop, refund: Refund) -> RefundReport | None:
    for report in shop.gateway.refunds_of(refund.payment_intent):
        if report.key == refund.idempotency_key:
            return report
    return None


def look_at_refunds(shop: Shop, payment_intent: str) -> None:
    """Record all refunds of a payment as they are at Stripe, also those made there."""
    take_reports(shop, shop.gateway.refunds_of(payment_intent))


def take_reports(shop: Shop, reports: Sequence[RefundReport]) -> None:
    """
    Record what Stripe says of these refunds, all of it or nothing.

    Failed ones come first: their part of the payment is free for the others.
    """
    ordered = sorted(reports, key=lambda report: report.has_failed, reverse=True)

    def work(session: Session) -> None:
        for report in ordered:
            stripe_reports.take_report(session, report, now=shop.clock())

    try:
        shop.database.write(work)
    except RefundRefusedError as error:
        # A refund here took the rest of the payment just now; Stripe will refuse one of
        # the two.
        raise PaymentUnavailableError(str(error)) from error


def take_listed(shop: Shop, reports: Sequence[RefundReport]) -> int:
    """
    Record what is new in a list of refunds; return for how many payments that failed.

    One payment's refunds hold up no other's.
    """
    kept = 0
    by_payment: defaultdict[str, list[RefundReport]] = defaultdict(list)
    for report in _news(shop, reports):
        by_payment[report.payment_intent].append(report)
    for payment_intent, its_reports in by_payment.items():
        try:
            take_reports(shop, its_reports)
        except ShopError as error:
            kept += 1
            logger.warning("payment %s is looked at again: %s", payment_intent, error)
        except Exception:
            kept += 1
            logger.exception("payment %s is looked at again", payment_intent)
    return kept


def _news(shop: Shop, reports: Sequence[RefundReport]) -> list[RefundReport]:
    """Leave out what is known, and the refunds of payments that are not ours."""
    intents = {report.payment_intent for report in reports}
    known_ids = Refund.stripe_refund_id.in_([report.id for report in reports])
    states = select(Refund.stripe_refund_id, Refund.status).where(known_ids)
    with shop.database.read() as session:
        known = dict(session.execute(states).all())
        ours = {
            intent
            for column in (Order.payment_intent, Refund.payment_intent)
            for intent in session.scalars(select(column).where(column.in_(intents)))
        }
    return [
        report
        for report in reports
        if report.payment_intent in ours
        and known.get(report.id) != stripe_reports.status_of(report)
    ]


def look_at_open_refunds(shop: Shop) -> None:
    """Ask Stripe about refunds that the banks still have; they may fail days later."""
    with shop.database.read() as session:
        intents = session.scalars(
            select(Refund.payment_intent)
            .where(Refund.status == SENT)
            .order_by(Refund.id.desc())
            .limit(BATCH)
        ).all()
    for payment_intent in sorted(set(intents)):
        try:
            paced(look_at_refunds, shop, payment_intent)
        except ShopError as error:
            logger.warning("payment %s is looked at again: %s", payment_intent, error)


def look_at_dispute(shop: Shop, dispute_id: str) -> None:
    """Record a dispute as it is at Stripe."""
    report = shop.gateway.dispute(dispute_id)
    if report is None:
        raise PaymentUnavailableError("an event about a dispute unknown to Stripe")
    take_disputes(shop, [report])


def take_disputes(shop: Shop, reports: Sequence[DisputeReport]) -> None:
    """Record what Stripe says of these disputes."""

    def work(session: Session) -> None:
        for report in reports:
            disputes.take_report(session, report, now=shop.clock())

    shop.database.write(work)
