"""
The outbox: letters are written in the transaction that they are about, and sent later.

Invariant: no letter is sent twice unless a person asks for it, wherever a sender is
killed. Any number of senders work at once. A letter is READY until the server has all
of it but the final dot; then it becomes SENDING, in a commit of its own, and only then
is the dot sent. So a READY letter was never taken and is sent once its claim is over;
one that stays SENDING may have been, and only a person sends it again (see `smtp`).
"""

import itertools
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from core.clock import new_token
from core.config import Config, Smtp
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


@dataclass(frozen=True)
class _Claim:
    mail_id: int
    key: str
    tries: int
    token: str
    at: datetime


def send_due(shop: Shop, write: LetterWriter, *, at_most: int | None = None) -> Sent:
    """
    Send the letters that are due, *at_most* this many; safe to run anywhere at once.

    A letter that cannot be sent holds up no other: it is due again after a pause.
    Without a mail server a demo's letters become files, and a live shop's wait.
    """
    if not can_send(shop.config):
        return Sent(waiting=_waiting(shop))
    outcomes: Counter[Outcome] = Counter()
    for _ in itertools.count() if at_most is None else range(at_most):
        claim = _claim_one(shop)
        if claim is None:
            break
        with suppress(LostClaimError):
            outcome = _send(shop, claim, write)
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
    is_over = and_(Mail.status == SENDING, Mail.due_at <= now)
    changed = session.scalar(
        update(Mail)
        .where(Mail.id == mail_id, or_(Mail.status == FAILED, is_over))
        .values(status=READY, claim="", tries=0, due_at=now, error="")
        .returning(Mail.id)
        .execution_options(synchronize_session=False)
    )
    return changed is not None


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(Mail.status == READY, Mail.due_at <= now)


def _waiting(shop: Shop) -> int:
    with shop.database.read() as session:
        count = select(func.count()).select_from(Mail).where(_is_due(shop.clock()))
        return session.scalars(count).one()


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
    claim = (
        update(Mail)
        .where(Mail.id == first)
        .values(claim=token, due_at=now + CLAIM_FOR)
        .returning(Mail.id, Mail.key, Mail.tries)
        .execution_options(synchronize_session=False)
    )
    row = shop.database.write(lambda session: session.execute(claim).first())
    return _Claim(*row, token, now) if row else None


def _change(shop: Shop, claim: _Claim, *, was: str, **values: object) -> None:
    """Change a letter of status *was* that is still ours, or raise LostClaimError."""
    change = (
        update(Mail)
        .where(Mail.id == claim.mail_id, Mail.claim == claim.token, Mail.status == was)
        .values(**values)
        .returning(Mail.id)
        .execution_options(synchronize_session=False)
    )
    if shop.database.write(lambda session: session.scalar(change)) is None:
        raise LostClaimError


def _send(shop: Shop, claim: _Claim, write: LetterWriter) -> Outcome:
    server = shop.config.smtp
    try:
        message = _written(shop, claim, write)
        if server is None:
            keep_copy(shop.config, claim.key, message)
            return _finish(shop, claim, was=READY)
        return _hand_over(shop, server, claim, message)
    except NotTakenError as error:
        return _put_off(shop, claim, error, was=READY)


def _written(shop: Shop, claim: _Claim, write: LetterWriter) -> Message:
    with shop.database.read() as session:
        mail = session.get_one(Mail, claim.mail_id)
        try:
            return compose(shop.config, mail, write(session, mail))
        except NotTakenError:
            raise
        except Exception as error:
            # A bug in the words of one letter must not hold up the others.
            logger.exception("letter %s could not be written", claim.key)
            raise NotTakenError(f"{type(error).__name__} in its words") from error


def _hand_over(shop: Shop, server: Smtp, claim: _Claim, message: Message) -> Outcome:
    renew = _renewal(shop, claim)
    connection = Connection(server, our_name=host_of(shop.config), before_step=renew)
    with closing(connection):
        left_out = connection.send_text(
            message.sender, message.recipients, message.text
        )
        _change(
            shop,
            claim,
            was=READY,
            status=SENDING,
            tries=claim.tries + 1,
            due_at=shop.clock() + UNDER_WAY_FOR,
        )
        try:
            connection.complete()
        except NotTakenError as error:
            return _put_off(shop, claim, error, was=SENDING)
        except NobodyKnowsError as error:
            said = f"nobody knows whether it was taken: {error}"
            _change(shop, claim, was=SENDING, due_at=shop.clock(), error=said)
            return Outcome.UNKNOWN
        return _finish(shop, claim, was=SENDING, error=left_out)


def _renewal(shop: Shop, claim: _Claim) -> Callable[[], None]:
    """Return what renews the claim between the steps of a slow server."""
    claimed_at = claim.at

    def renew() -> None:
        nonlocal claimed_at
        now = shop.clock()
        if now - claimed_at > RENEW_AFTER:
            _change(shop, claim, was=READY, due_at=now + CLAIM_FOR)
            claimed_at = now

    return renew


def _finish(shop: Shop, claim: _Claim, *, was: str, error: str = "") -> Outcome:
    _change(
        shop,
        claim,
        was=was,
        status=SENT,
        tries=claim.tries + 1,
        sent_at=shop.clock(),
        error=error,
    )
    return Outcome.SENT


def _put_off(shop: Shop, claim: _Claim, error: NotTakenError, *, was: str) -> Outcome:
    """Note why a letter was not taken, and when to try again unless it is final."""
    tries = claim.tries + 1
    is_over = error.is_final or tries >= MOST_TRIES
    pause = PAUSES[tries - 1] if tries <= len(PAUSES) else LONGEST_PAUSE
    _change(
        shop,
        claim,
        was=was,
        status=FAILED if is_over else READY,
        tries=tries,
        due_at=shop.clock() + pause,
        error=error.reason,
    )
    return Outcome.FAILED if is_over else Outcome.AGAIN
