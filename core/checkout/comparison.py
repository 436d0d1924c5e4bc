"""
Stripe's sessions against ours: what differs is settled, or entered for the owner.

Stripe is asked again only about what differs, and the answer is settled by the same
function as everywhere.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
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


@dataclass(frozen=True)
class _Known:
    """A session's checkout here; *is_final* if its payment is accounted for."""

    checkout_id: int
    status: str
    attached: str | None
    is_final: bool


def compare_all(
    shop: Shop, sessions: Sequence[PaymentSession], found: Reconciliation
) -> None:
    """
    Settle what differs, and count it in *found*.

    One that cannot be settled is counted as kept and holds up no other. Safe to repeat.
    """
    known = _known(shop, sessions)
    for session in sessions:
        _compare(shop, session, known.get(session.id), found)


def _known(shop: Shop, sessions: Iterable[PaymentSession]) -> dict[str, _Known]:
    """Find the checkouts of a page of sessions by id, key or original session."""
    by_id = {session.id: session for session in sessions}
    ids = {*by_id, *(each.recovered_from for each in by_id.values())}
    keys = {each.checkout_key for each in by_id.values() if each.checkout_key}
    with shop.database.read() as session:
        rows = session.execute(
            select(
                Checkout.id,
                Checkout.status,
                Checkout.stripe_session_id,
                Checkout.idempotency_key,
            ).where(
                or_(
                    Checkout.stripe_session_id.in_(ids),
                    Checkout.idempotency_key.in_(keys),
                )
            )
        ).all()
        accounted = _accounted(session, by_id)
    by_session = {row.stripe_session_id: row for row in rows}
    by_key = {row.idempotency_key: row for row in rows}
    found = {}
    for session_id, each in by_id.items():
        row = (
            by_session.get(session_id)
            or by_key.get(each.checkout_key)
            or by_session.get(each.recovered_from)
        )
        if row is not None:
            found[session_id] = _Known(
                row.id, row.status, row.stripe_session_id, session_id in accounted
            )
    return found


def _accounted(session: Session, ids: Collection[str]) -> set[str]:
    """Return the sessions whose payment was sold, sent back, or cost nothing."""
    queries = (
        select(Order.stripe_session_id).where(Order.stripe_session_id.in_(ids)),
        select(Refund.stripe_session_id).where(Refund.stripe_session_id.in_(ids)),
        select(ToDo.stripe_id).where(
            ToDo.stripe_id.in_(ids), ToDo.kind.in_((TOO_LATE, PAID_TWICE))
        ),
    )
    return {found for query in queries for found in session.scalars(query)}


def _compare(
    shop: Shop, session: PaymentSession, known: _Known | None, found: Reconciliation
) -> None:
    try:
        if known is None:
            found.entered += _enter_unknown(shop, session)
        elif _differs(session, known):
            _settle(shop, session, known, found)
    except ShopError as error:
        found.kept += 1
        logger.warning("session %s is looked at again: %s", session.id, error)
    except Exception:
        found.kept += 1
        logger.exception("session %s is looked at again", session.id)


def _differs(session: PaymentSession, known: _Known) -> bool:
    is_pending = known.status == PENDING
    is_its_page = known.attached in (None, session.id)
    if session.is_paid:
        return not known.is_final
    if session.status == "open":
        # Nobody may pay for units that are not held for this page.
        return not (is_pending and is_its_page)
    return is_pending and is_its_page and session.is_closed


def _settle(
    shop: Shop, session: PaymentSession, known: _Known, found: Reconciliation
) -> None:
    ask = shop.gateway.expire if session.status == "open" else shop.gateway.retrieve
    fresh = paced(lambda: ask(session.id))
    if fresh is None:
        raise PaymentUnavailableError("a listed session is unknown to Stripe")
    if fresh.is_closed and session.status == "open":
        logger.warning("session %s could be paid and was closed", session.id)
        found.closed += 1
    ending = settle(shop, known.checkout_id, fresh)
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
    return shop.database.write(
        lambda writing: records.add_to_do(
            writing,
            UNKNOWN_SESSION,
            f"unknown-{session.id}",
            checkout_id=None,
            stripe_id=session.id,
            payment_intent=session.payment_intent or "",
            amount_cents=session.bill.total_cents,
            currency=session.bill.currency or "eur",
            now=shop.clock(),
        )
    )
