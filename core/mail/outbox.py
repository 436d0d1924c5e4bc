"""
The letters' way out; any number of senders work at once.

A letter is READY until the server has all of it but the final dot; then it becomes
SENDING, in a commit of its own, and only then is the dot sent. So a READY letter was
never taken, wherever its sender was killed, and is sent once its claim is over; one
that stays SENDING may have been, and only a person sends it again (see `smtp`).
"""

import itertools
import logging
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from core.clock import new_token
from core.config import Config, Smtp
from core.database.rows import change
from core.mail.letter import LetterWriter, Message, compose, host_of, keep_copy
from core.mail.smtp import ANSWER_SECONDS, Connection, NobodyKnowsError, NotTakenError
from core.models.mail import READY, SENDING, Mail
from core.models.refunds import FAILED, SENT
from core.shop import Shop

logger = logging.getLogger(__name__)

# A claim outlasts the longest step (STEP_SECONDS) that begins before it is renewed.
CLAIM_FOR = timedelta(seconds=30)
RENEW_AFTER = timedelta(seconds=10)
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60)]
LONGEST_PAUSE = timedelta(hours=6)
# With these pauses a letter is given up after almost three days.
MOST_TRIES = 16
# A sender may still be waiting for the server's answer this long after the dot.
UNDER_WAY_FOR = timedelta(seconds=ANSWER_SECONDS) + CLAIM_FOR


class Outcome(Enum):
    """What became of a letter; AGAIN is tried later, UNKNOWN may have been taken."""

    SENT = "sent"
    AGAIN = "again"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sent:
    """Counts of letters; *waiting* are due, but there is no mail server."""

    sent: int = 0
    again: int = 0
    failed: int = 0
    unknown: int = 0
    waiting: int = 0


class LostClaimError(Exception):
    """Another sender has claimed the letter: it must not be sent here."""


@dataclass
class _Claim:
    """A letter that this sender has claimed, last *at* this moment, for this try."""

    shop: Shop
    mail_id: int
    key: str
    tries: int
    token: str
    at: datetime

    def change(self, was: str, **values: Any) -> None:
        """Change a letter of status *was*; raises LostClaimError unless it is ours."""
        is_ours = (Mail.id == self.mail_id) & (Mail.claim == self.token)
        which = is_ours & (Mail.status == was)
        changed = self.shop.database.write(
            lambda session: change(session, Mail, which, **values)
        )
        if changed is None:
            raise LostClaimError

    def renew(self) -> None:
        """Renew the claim between the steps of a slow server, if need be."""
        now = self.shop.clock()
        if now - self.at > RENEW_AFTER:
            self.change(READY, due_at=now + CLAIM_FOR)
            self.at = now

    def finish(self, was: str, error: str = "") -> Outcome:
        now = self.shop.clock()
        self.change(was, status=SENT, tries=self.tries, sent_at=now, error=error)
        return Outcome.SENT

    def put_off(self, was: str, error: NotTakenError) -> Outcome:
        """Note why it was not taken, and when to try again unless that is final."""
        is_over = error.is_final or self.tries >= MOST_TRIES
        is_early = self.tries <= len(PAUSES)
        pause = PAUSES[self.tries - 1] if is_early else LONGEST_PAUSE
        self.change(
            was,
            status=FAILED if is_over else READY,
            tries=self.tries,
            due_at=self.shop.clock() + pause,
            error=error.reason,
        )
        return Outcome.FAILED if is_over else Outcome.AGAIN


def send_due(shop: Shop, write: LetterWriter, *, at_most: int | None = None) -> Sent:
    """
    Send the letters that are due, *at_most* this many; safe to run anywhere at once.

    A letter that cannot be sent holds up no other: it is due again after a pause.
    Without a mail server a demo's letters become files, and a live shop's wait.
    """
    if not can_send(shop.config):
        count = select(func.count()).select_from(Mail).where(_is_due(shop.clock()))
        with shop.database.read() as session:
            return Sent(waiting=session.scalars(count).one())
    outcomes: Counter[Outcome] = Counter()
    for _ in itertools.count() if at_most is None else range(at_most):
        claim = _claim_one(shop)
        if claim is None:
            break
        with suppress(LostClaimError):
            outcome = _send(claim, write)
            is_good = outcome in (Outcome.SENT, Outcome.AGAIN)
            level = logging.INFO if is_good else logging.WARNING
            logger.log(level, "letter %s: %s", claim.key, outcome.value)
            outcomes[outcome] += 1
    return Sent(**{outcome.value: count for outcome, count in outcomes.items()})


def can_send(config: Config) -> bool:
    """Tell whether letters can leave; those of a live shop need a mail server."""
    return config.smtp is not None or not config.is_live


def send_again(session: Session, mail_id: int, *, now: datetime) -> bool:
    """
    Let a letter be sent that FAILED, or that stayed SENDING.

    A rule. Returns False and changes nothing if it is neither, or if its sender may
    still be at work.
    """
    is_over = (Mail.status == SENDING) & (Mail.due_at <= now)
    which = (Mail.id == mail_id) & ((Mail.status == FAILED) | is_over)
    changed = change(
        session, Mail, which, status=READY, claim="", tries=0, due_at=now, error=""
    )
    return changed is not None


def _is_due(now: datetime) -> ColumnElement[bool]:
    return (Mail.status == READY) & (Mail.due_at <= now)


def _claim_one(shop: Shop) -> _Claim | None:
    """Claim the letter that has been due for longest and that nobody is claiming."""
    now, token = shop.clock(), new_token()
    # Nearly always nothing is due, and a read does not wait for other writers.
    with shop.database.read() as session:
        if session.scalar(select(Mail.id).where(_is_due(now)).limit(1)) is None:
            return None
    first = (
        select(Mail.id)
        .where(_is_due(now))
        .order_by(Mail.due_at, Mail.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    row = shop.database.write(
        lambda session: change(
            session,
            Mail,
            Mail.id == first,
            returning=("id", "key", "tries"),
            claim=token,
            due_at=now + CLAIM_FOR,
        )
    )
    return _Claim(shop, row.id, row.key, row.tries + 1, token, now) if row else None


def _send(claim: _Claim, write: LetterWriter) -> Outcome:
    config = claim.shop.config
    try:
        message = _written(claim, write)
        if config.smtp:
            return _hand_over(claim, config.smtp, message)
        keep_copy(config, claim.key, message)
        return claim.finish(READY)
    except NotTakenError as error:
        return claim.put_off(READY, error)


def _written(claim: _Claim, write: LetterWriter) -> Message:
    with claim.shop.database.read() as session:
        mail = session.get_one(Mail, claim.mail_id)
        try:
            return compose(claim.shop.config, mail, write(session, mail))
        except NotTakenError:
            raise
        except Exception as error:
            # A bug in the words of one letter must not hold up the others.
            logger.exception("letter %s could not be written", claim.key)
            raise NotTakenError(f"{type(error).__name__} in its words") from error


def _hand_over(claim: _Claim, server: Smtp, message: Message) -> Outcome:
    clock, our_name = claim.shop.clock, host_of(claim.shop.config)
    connection = Connection(server, our_name=our_name, before_step=claim.renew)
    with closing(connection):
        left_out = connection.send_text(**vars(message))
        due_at = clock() + UNDER_WAY_FOR
        claim.change(READY, status=SENDING, tries=claim.tries, due_at=due_at)
        try:
            connection.complete()
        except NotTakenError as error:
            return claim.put_off(SENDING, error)
        except NobodyKnowsError as error:
            said = f"nobody knows whether it was taken: {error}"
            claim.change(SENDING, due_at=clock(), error=said)
            return Outcome.UNKNOWN
        return claim.finish(SENDING, error=left_out)
