"""
What is written down beside a change, in its transaction.

Steps of a checkout, entries for the owner, letters, and the events of Stripe that were
acted on. Each has a name, so that a fact is written once however often it is reported.
The letter that confirms an order is written by the statement that sells.

All functions are rules: they work in the caller's transaction and never commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from core.database.rows import insert_once
from core.models.mail import GONE_MAIL, READY, REFUND_MAIL, TO_DO_MAIL, Mail
from core.models.records import CheckoutStep, StripeEvent, ToDo


@dataclass(frozen=True)
class Noted:
    """
    An event of Stripe's: its id and type, and what it did to which object.

    Two events about one fact have the same *object_id* and *effect*.
    """

    id: str
    type: str
    object_id: str
    effect: str


def note_event(session: Session, event: Noted, *, outcome: str, now: datetime) -> bool:
    """Note that *event* was acted on; returns False if it, or its twin, was before."""
    values = {**vars(event), "outcome": outcome, "received_at": now}
    return insert_once(session, StripeEvent, values) is not None


def add_step(  # noqa: PLR0913 (what a step says)
    session: Session,
    checkout_id: int,
    what: str,
    *,
    now: datetime,
    cause: str = "",
    who: str = "",
    stripe_id: str = "",
) -> None:
    """Append a step that no other row would keep."""
    session.add(
        CheckoutStep(
            checkout_id=checkout_id,
            what=what,
            cause=cause,
            who=who,
            stripe_id=stripe_id,
            created_at=now,
        )
    )


def add_to_do(  # noqa: PLR0913 (what an entry says)
    session: Session,
    kind: str,
    key: str,
    *,
    checkout_id: int | None,
    now: datetime,
    stripe_id: str = "",
    payment_intent: str = "",
    amount_cents: int = 0,
    currency: str = "eur",
) -> bool:
    """
    Enter what the owner has to look at, and write him a letter about it.

    Safe to repeat: False, and nothing changed, if there is an entry of this *key*.
    """
    entered = {
        "key": key,
        "kind": kind,
        "checkout_id": checkout_id,
        "stripe_id": stripe_id,
        "payment_intent": payment_intent,
        "amount_cents": amount_cents,
        "currency": currency,
        "created_at": now,
    }
    to_do_id = insert_once(session, ToDo, entered)
    if to_do_id is None:
        return False
    letter = {"kind": TO_DO_MAIL, "checkout_id": checkout_id, "to_do_id": to_do_id}
    _add_mail(session, f"to-do-{to_do_id}", letter, now=now)
    return True


def tick_off(session: Session, to_do_id: int, *, who: str, now: datetime) -> bool:
    """Note that an entry was dealt with; False if it was ticked off before."""
    return _set_done(session, to_do_id, is_done=True, who=who, now=now)


def untick(session: Session, to_do_id: int) -> bool:
    """Take tick_off back; False if it was not ticked off."""
    return _set_done(session, to_do_id, is_done=False, who="", now=None)


def _set_done(
    session: Session, to_do_id: int, *, is_done: bool, who: str, now: datetime | None
) -> bool:
    was_open = ToDo.done_at.is_(None)
    changed = session.scalar(
        update(ToDo)
        .where(ToDo.id == to_do_id, was_open if is_done else ~was_open)
        .values(done_at=now, done_by=who)
        .returning(ToDo.id)
        .execution_options(synchronize_session=False)
    )
    return changed is not None


def tick_off_all(
    session: Session, which: ColumnElement[bool], *, now: datetime, who: str = ""
) -> None:
    """Tick off the open entries that *which* selects: they were dealt with."""
    session.execute(
        update(ToDo)
        .where(which, ToDo.done_at.is_(None))
        .values(done_at=now, done_by=who)
        .execution_options(synchronize_session=False)
    )


def untick_all(session: Session, which: ColumnElement[bool]) -> None:
    """Put the entries that *which* selects back on the owner's list."""
    session.execute(
        update(ToDo)
        .where(which, ToDo.done_at.is_not(None))
        .values(done_at=None, done_by="")
        .execution_options(synchronize_session=False)
    )


def bring_up_again(session: Session, key: str, news: str, *, now: datetime) -> None:
    """
    Put an entry back on the owner's list, as there is news, and write him a letter.

    The one that waits to be sent tells the news, too: it is written when it is sent.
    Safe to repeat: there is one letter for each *news*.
    """
    entry = session.execute(
        update(ToDo)
        .where(ToDo.key == key)
        .values(done_at=None, done_by="")
        .returning(ToDo.id, ToDo.checkout_id)
        .execution_options(synchronize_session=False)
    ).one()
    waiting = select(Mail.id).where(Mail.to_do_id == entry[0], Mail.status == READY)
    if session.scalar(waiting.limit(1)) is None:
        letter = {"kind": TO_DO_MAIL, "checkout_id": entry[1], "to_do_id": entry[0]}
        _add_mail(session, f"to-do-{entry[0]}-{news}", letter, now=now)


def mail_refund(  # noqa: PLR0913 (a refund, and who is told what of it)
    session: Session,
    refund_id: int,
    kind: str,
    *,
    checkout_id: int,
    recipient: str,
    locale: str,
    is_again: bool,
    now: datetime,
) -> None:
    """Write to the customer of a refund: a letter of each *kind*, or one *is_again*."""
    letter = {
        "kind": kind,
        "checkout_id": checkout_id,
        "refund_id": refund_id,
        "recipient": recipient,
        "locale": locale,
    }
    if recipient:
        key = f"{kind.lower()}-{refund_id}{'-again' if is_again else ''}"
        _add_mail(session, key, letter, now=now)


def is_mailed_refund(session: Session, refund_id: int) -> bool:
    """Tell whether the customer has a letter, or will have, that money goes back."""
    key = f"{REFUND_MAIL.lower()}-{refund_id}"
    return session.scalar(select(Mail.id).where(Mail.key == key)) is not None


def mail_gone(
    session: Session,
    stripe_session_id: str,
    *,
    checkout_id: int,
    recipient: str,
    locale: str,
    now: datetime,
) -> None:
    """Write to a customer who paid nothing that nothing comes, once a session."""
    letter = {
        "kind": GONE_MAIL,
        "checkout_id": checkout_id,
        "recipient": recipient,
        "locale": locale,
    }
    if recipient:
        _add_mail(session, f"gone-{stripe_session_id}", letter, now=now)


def _add_mail(
    session: Session, key: str, letter: Mapping[str, object], *, now: datetime
) -> None:
    insert_once(session, Mail, {**letter, "key": key, "due_at": now, "created_at": now})
