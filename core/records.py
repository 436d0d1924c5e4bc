"""
What is written beside a change, in its transaction.

Steps of a checkout, entries for the owner, letters, and the events of Stripe that were
acted on. Each has a key, so that a fact is written once however often it is reported.
The letter that confirms an order is written by the statement that confirms.

All functions are rules: they work in the caller's transaction and never commit.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.database.rows import change, insert_once
from core.errors import NotFoundError
from core.models.mail import READY, TO_DO_MAIL, Mail
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


def add_step(
    session: Session, checkout_id: int, what: str, *, now: datetime, **said: str
) -> None:
    """Append a step that no other row would keep: *said* is cause, who or stripe_id."""
    step = CheckoutStep(checkout_id=checkout_id, what=what, created_at=now, **said)
    session.add(step)


def add_to_do(
    session: Session,
    kind: str,
    key: str,
    *,
    checkout_id: int | None,
    now: datetime,
    **about: object,
) -> bool:
    """
    Enter what the owner has to look at, and write a letter about it.

    *about* is the stripe_id, payment_intent, amount_cents and currency of ToDo. Safe to
    repeat: False, and nothing changed, if there is an entry of this *key*.
    """
    named = {"key": key, "kind": kind, "checkout_id": checkout_id}
    to_do_id = insert_once(session, ToDo, {**named, **about, "created_at": now})
    if to_do_id is None:
        return False
    mail_key = f"to-do-{to_do_id}"
    add_mail(session, mail_key, TO_DO_MAIL, checkout_id, now=now, to_do_id=to_do_id)
    return True


def tick_off(session: Session, to_do_id: int, *, who: str, now: datetime) -> bool:
    """Note that an entry was dealt with; False if it was ticked off before."""
    return tick_off_all(session, ToDo.id == to_do_id, who=who, now=now)


def untick(session: Session, to_do_id: int) -> bool:
    """Take tick_off back; False if it was not ticked off."""
    return untick_all(session, ToDo.id == to_do_id)


def tick_off_all(
    session: Session, which: ColumnElement[bool], *, now: datetime, who: str = ""
) -> bool:
    """Tick off the open entries that *which* selects; tell whether there were any."""
    is_open = ToDo.done_at.is_(None)
    return change(session, ToDo, which & is_open, done_at=now, done_by=who) is not None


def untick_all(session: Session, which: ColumnElement[bool]) -> bool:
    """Put the entries that *which* selects back on the owner's list."""
    is_done = ToDo.done_at.is_not(None)
    return change(session, ToDo, which & is_done, done_at=None, done_by="") is not None


def bring_up_again(session: Session, key: str, news: str, *, now: datetime) -> None:
    """
    Put an entry back on the owner's list, as there is news, and write a letter.

    A letter that still waits tells the news too, as its text is made when it leaves.
    Safe to repeat: there is one letter for each *news*.
    """
    columns, reopened = ("id", "checkout_id"), {"done_at": None, "done_by": ""}
    entry = change(session, ToDo, ToDo.key == key, returning=columns, **reopened)
    if entry is None:
        raise NotFoundError(f"there is no entry {key}")
    to_do_id, checkout_id = entry
    waiting = select(Mail.id).where(Mail.to_do_id == to_do_id, Mail.status == READY)
    if session.scalar(waiting.limit(1)) is None:
        key = f"to-do-{to_do_id}-{news}"
        add_mail(session, key, TO_DO_MAIL, checkout_id, now=now, to_do_id=to_do_id)


def add_mail(
    session: Session,
    key: str,
    kind: str,
    checkout_id: int | None,
    *,
    now: datetime,
    **values: object,
) -> None:
    """Put a letter into the outbox; safe to repeat: there is one of each *key*."""
    named = {"key": key, "kind": kind, "checkout_id": checkout_id}
    insert_once(session, Mail, {**named, **values, "due_at": now, "created_at": now})
