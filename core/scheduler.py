"""
The background threads: one ends what is due, one reconciles, one sends the letters.

Every worker process runs them, so several run at once, always: each pass is safe to run
anywhere at the same time. Correctness never depends on them.
"""

import logging
import threading
import time

import schedule

from core.checkout import expiry, reconcile
from core.errors import PaymentError
from core.mail import outbox
from core.mail.letter import LetterWriter
from core.orders import sales
from core.shop import Shop

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
# A pass may wait for Stripe; a thread that is silent for longer than this is stuck.
PATIENCE_SECONDS = 300
RECONCILE_LOOK_SECONDS = 1.0
MAIL_LOOK_SECONDS = 1.0
# After a rush the letters take turns with the shoppers who are still there.
LETTER_GAP_SECONDS = 0.2
WARN_SECONDS = 3600
STOP_SECONDS = 10


class Scheduler:
    """
    Daemon threads; start() and stop() them once each, from the worker process.

    Letters have a thread of their own, as a mail server may be slow, and so has the
    comparison with Stripe, which may have much to read. Without *write_letters* none
    are sent.
    """

    def __init__(self, shop: Shop, write_letters: LetterWriter | None = None) -> None:
        self._shop = shop
        self._write_letters = write_letters
        self._warned_at = -float(WARN_SECONDS)
        self._halt = threading.Event()
        self._jobs = schedule.Scheduler()
        self._jobs.every(shop.config.cleanup_interval_seconds).seconds.do(self.run_once)
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._others = [
            threading.Thread(target=self._run_reconcile, name="reconcile", daemon=True)
        ]
        if write_letters is not None:
            self._others.append(
                threading.Thread(target=self._run_mail, name="mail", daemon=True)
            )
        self._last_pass = shop.clock()

    def start(self) -> None:
        """Begin; the first pass comes at once, as the last process may have died."""
        for thread in (self._thread, *self._others):
            thread.start()

    def stop(self) -> None:
        """End after the pass and the letter that are under way; wait, but not long."""
        self._halt.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in (self._thread, *self._others):
            if thread.is_alive():
                thread.join(max(0, deadline - time.monotonic()))

    def is_in_order(self) -> bool:
        """Tell whether the thread lives and has made a pass lately."""
        silent_for = (self._shop.clock() - self._last_pass).total_seconds()
        patience = self._shop.config.cleanup_interval_seconds + PATIENCE_SECONDS
        return self._thread.is_alive() and silent_for < patience

    def run_once(self) -> None:
        """Make one pass: end what is due, sum up days. An error is logged."""
        try:
            swept = expiry.sweep(self._shop)
            if swept != expiry.Sweep(0, 0, 0):
                logger.info("swept: %s", swept)
            sales.roll_up(self._shop.database, now=self._shop.clock())
        except Exception:
            # Else one failing pass would end the thread, and with it every later one.
            logger.exception("the sweep failed")
        finally:
            self._last_pass = self._shop.clock()

    def _run(self) -> None:
        self.run_once()
        while not self._halt.wait(LOOK_SECONDS):
            self._jobs.run_pending()

    def _run_reconcile(self) -> None:
        while not self._halt.wait(RECONCILE_LOOK_SECONDS):
            try:
                found = reconcile.reconcile_if_due(self._shop)
            except PaymentError as error:
                logger.warning("reconcile goes on later: %s", error)
            except Exception:
                # As in run_once: else nothing would be compared any more.
                logger.exception("reconcile failed")
            else:
                if found and (found.settled or found.closed or found.entered):
                    logger.info("reconciled before any message, or without: %s", found)

    def _run_mail(self) -> None:
        pause = 0.0
        while not self._halt.wait(pause):
            pause = LETTER_GAP_SECONDS if self._send_one() else MAIL_LOOK_SECONDS

    def _send_one(self) -> bool:
        """Send the letter that is due, if there is one; tell whether there was."""
        if self._write_letters is None:
            return False
        try:
            sent = outbox.send_due(self._shop, self._write_letters, at_most=1)
        except Exception:
            # As in run_once: else no letter would be sent any more.
            logger.exception("the outbox failed")
            return False
        if sent.waiting:
            self._warn(sent.waiting)
        return sent != outbox.Sent(waiting=sent.waiting)

    def _warn(self, waiting: int) -> None:
        if time.monotonic() - self._warned_at >= WARN_SECONDS:
            self._warned_at = time.monotonic()
            logger.warning("%s letters wait: SMTP_URL is not set", waiting)
