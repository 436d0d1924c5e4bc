"""
The background threads: one ends what is due, one reconciles, one sends the letters.

Every worker process runs them, so several always run at once: each pass is safe to run
anywhere at the same time. Correctness never depends on them.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import schedule

from core.checkout import expiry, reconcile
from core.errors import PaymentError
from core.mail import outbox
from core.mail.letter import LetterWriter
from core.orders import sales
from core.shop import Shop
from core.stock.limits import forget

logger = logging.getLogger(__name__)

# A pass may wait for Stripe; a thread that is silent for longer than this is stuck.
PATIENCE_SECONDS = 300
# How often to look whether a letter or a comparison with Stripe is due.
LOOK_SECONDS = 1
# After a rush the letters take turns with the shoppers who are still there.
LETTER_GAP_SECONDS = 0.2
WARN_SECONDS = 3600
FORGET_EVERY = timedelta(minutes=10)
# gunicorn.conf.py lets a worker live a little longer than this after SIGTERM.
STOP_SECONDS = 6


class Scheduler:
    """
    Daemon threads; start() and stop() them once each, from the worker process.

    Letters have a thread of their own, as a mail server may be slow, and so has the
    comparison with Stripe, which may have much to read. Without *write_letters* none
    are sent.
    """

    def __init__(self, shop: Shop, write_letters: LetterWriter | None = None) -> None:
        self._shop = shop
        self._last_pass = shop.clock()
        self._forgot_at = shop.clock() - FORGET_EVERY
        self._warned_at = -float(WARN_SECONDS)
        self._halt = threading.Event()
        interval = shop.config.cleanup_interval_seconds
        self._sweeper = self._thread("the sweep", self.run_once, interval)
        look = self._thread("reconcile", self._reconcile, LOOK_SECONDS, at_once=False)
        self._threads = [self._sweeper, look]
        if write_letters is not None:
            send = partial(self._send_letters, write_letters)
            self._threads.append(self._thread("the outbox", send, LOOK_SECONDS))

    def start(self) -> None:
        """Begin; the first sweep comes at once, as the last process may have died."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait up to STOP_SECONDS for the pass and the letter that are under way."""
        self._halt.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0, deadline - time.monotonic()))

    def is_in_order(self) -> bool:
        """Tell whether the sweep's thread lives and has made a pass lately."""
        silent_for = (self._shop.clock() - self._last_pass).total_seconds()
        patience = self._shop.config.cleanup_interval_seconds + PATIENCE_SECONDS
        return self._sweeper.is_alive() and silent_for < patience

    def run_once(self) -> None:
        """End what is due and sum up days; safe to repeat."""
        try:
            swept = expiry.sweep(self._shop)
            if swept != expiry.Sweep(0, 0, 0):
                logger.info("swept: %s", swept)
            sales.roll_up(self._shop.database, now=self._shop.clock())
            self._forget()
        finally:
            self._last_pass = self._shop.clock()

    def _forget(self) -> None:
        """Forget now and then who had holds a day ago."""
        now = self._shop.clock()
        if now - self._forgot_at < FORGET_EVERY:
            return
        while self._shop.database.write(lambda session: forget(session, now=now)):
            pass
        self._forgot_at = now

    def _thread(
        self, name: str, work: Callable[[], None], seconds: int, *, at_once: bool = True
    ) -> threading.Thread:
        """Return a thread that does *work* every *seconds* until stop()."""

        def attempt() -> None:
            try:
                work()
            except Exception:
                # Else one failure would end the thread, and with it every later pass.
                logger.exception("%s failed", name)

        def repeat() -> None:
            jobs = schedule.Scheduler()
            jobs.every(seconds).seconds.do(attempt)
            if at_once:
                jobs.run_all()
            while not self._halt.wait(jobs.idle_seconds):
                jobs.run_pending()

        return threading.Thread(target=repeat, name=name, daemon=True)

    def _reconcile(self) -> None:
        try:
            found = reconcile.reconcile_if_due(self._shop)
        except PaymentError as error:
            logger.warning("reconcile goes on later: %s", error)
        else:
            if found and (found.settled or found.closed or found.entered):
                logger.info("reconciled before any message, or without: %s", found)

    def _send_letters(self, write: LetterWriter) -> None:
        """Send the letters that are due, one by one, with a gap after each."""
        while True:
            sent = outbox.send_due(self._shop, write, at_most=1)
            if sent.waiting and time.monotonic() - self._warned_at >= WARN_SECONDS:
                self._warned_at = time.monotonic()
                logger.warning("%s letters wait: SMTP_URL is not set", sent.waiting)
            is_done = sent == outbox.Sent(waiting=sent.waiting)
            if is_done or self._halt.wait(LETTER_GAP_SECONDS):
                return
