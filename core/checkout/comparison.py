"""
Stripe's sessions against ours: what differs is settled, or entered for the owner.

Stripe is asked again only about what differs, and the answer is settled by the same
function as everywhere.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import records
from core.checkout.closing import Ending
from core.checkout.settlement import settle
from core.errors import PaymentUnavailableError, ShopError
from core.models.checkout import PENDING, Checkout
from core.models.orders import Order
from core.models.records import PAID_TWICE, TOO_LATE, UNKNOWN_SESSION, ToDo
from core.models.refunds import Refund
from core.payments.data import PaymentSession
from core.payments.pace import paced
from core.shop import Shop

logger = logging.getLogger(__name__)


@dataclass
class Reconciliation:
    """What a pass found: counts of sessions, and the time that it covered."""

    since: datetime
    until: datetime
    seen: int = 0
    settled: int = 0
    closed: int = 0
    entered: int = 0
    kept: int = 0


def compare_all(
    shop: Shop, sessions: Sequence[PaymentSession], found: Reconciliation
) -> None:
    """
    Settle what differs, and count it in *found*.

    One that cannot be settled is counted as kept and holds up no other. Safe to repeat.
    """
    with shop.database.read() as reading:
        checkouts = _checkouts_of(reading, sessions)
        accounted = _accounted(reading, [session.id for session in sessions])
    for session in sessions:
        checkout = checkouts.get(session.id)
        try:
            if checkout is None:
                found.entered += _enter_unknown(shop, session)
            elif _differs(session, checkout, is_final=session.id in accounted):
                _settle(shop, session, checkout.id, found)
        except ShopError as error:
            found.kept += 1
            logger.warning("session %s is looked at again: %s", session.id, error)
        except Exception:
            found.kept += 1
            logger.exception("session %s is looked at again", session.id)


def _checkouts_of(
    reading: Session, sessions: Sequence[PaymentSession]
) -> dict[str, Checkout]:
    """Find the checkouts of a page of sessions by id, key or original session."""
    ids = {name for each in sessions for name in (each.id, each.recovered_from)}
    keys = {each.checkout_key for each in sessions if each.checkout_key}
    is_named = Checkout.stripe_session_id.in_(ids) | Checkout.idempotency_key.in_(keys)
    checkouts = reading.scalars(select(Checkout).where(is_named)).all()
    by_session = {checkout.stripe_session_id: checkout for checkout in checkouts}
    by_key = {checkout.idempotency_key: checkout for checkout in checkouts}
    found = {
        each.id: by_session.get(each.id)
        or by_key.get(each.checkout_key)
        or by_session.get(each.recovered_from)
        for each in sessions
    }
    return {name: checkout for name, checkout in found.items() if checkout}


def _accounted(reading: Session, ids: Collection[str]) -> set[str]:
    """Return the sessions whose payment was sold, sent back, or cost nothing."""
    is_entered = ToDo.stripe_id.in_(ids) & ToDo.kind.in_((TOO_LATE, PAID_TWICE))
    queries = (
        select(Order.stripe_session_id).where(Order.stripe_session_id.in_(ids)),
        select(Refund.stripe_session_id).where(Refund.stripe_session_id.in_(ids)),
        select(ToDo.stripe_id).where(is_entered),
    )
    return {found for query in queries for found in reading.scalars(query)}


def _differs(session: PaymentSession, checkout: Checkout, *, is_final: bool) -> bool:
    """Tell whether to settle it; *is_final* if its payment is accounted for."""
    if session.is_paid:
        return not is_final
    is_its_page = checkout.stripe_session_id in (None, session.id)
    is_held = checkout.status == PENDING and is_its_page
    if session.status == "open":
        # Nobody may pay for units that are not held for this page.
        return not is_held
    return is_held and session.is_closed


def _settle(
    shop: Shop, session: PaymentSession, checkout_id: int, found: Reconciliation
) -> None:
    ask = shop.gateway.expire if session.status == "open" else shop.gateway.retrieve
    fresh = paced(ask, session.id)
    if fresh is None:
        raise PaymentUnavailableError("a listed session is unknown to Stripe")
    if fresh.is_closed and session.status == "open":
        logger.warning("session %s could be paid and was closed", session.id)
        found.closed += 1
    ending = settle(shop, checkout_id, fresh)
    found.kept += ending is Ending.KEPT
    found.settled += ending in (Ending.PAID, Ending.CLOSED, Ending.AWAITS_PAYMENT)


def _enter_unknown(shop: Shop, session: PaymentSession) -> bool:
    """
    Tell the owner of money for a session of ours whose checkout is not here.

    It may belong to another shop with this program, or to a database that was
    restored. A session without our key is not ours.
    """
    if not session.checkout_key or not session.is_paid:
        return False
    about = {
        "stripe_id": session.id,
        "payment_intent": session.payment_intent or "",
        "amount_cents": session.bill.total_cents,
        "currency": session.bill.currency or "eur",
    }
    kind, key, now = UNKNOWN_SESSION, f"unknown-{session.id}", shop.clock()
    return shop.database.write(
        lambda s: records.add_to_do(s, kind, key, checkout_id=None, now=now, **about)
    )
