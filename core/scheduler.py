"""
The background thread that ends what is due.

Every worker process runs one, so several run at once, always: each pass is safe to run
anywhere at the same time. Correctness never depends on it.
"""

import logging
import threading

import schedule

from core import expiry, sales
from core.shop import Shop

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
# A pass may wait for Stripe; a thread that is silent for longer than this is stuck.
PATIENCE_SECONDS = 300


class Scheduler:
    """One daemon thread; start() and stop() it once each, from the worker process."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._halt = threading.Event()
        self._jobs = schedule.Scheduler()
        self._jobs.every(shop.config.cleanup_interval_seconds).seconds.do(self.run_once)
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._last_pass = shop.clock()

    def start(self) -> None:
        """Begin; the first pass comes at once, as the last process may have died."""
        self._thread.start()

    def stop(self) -> None:
        """End after the pass that is running, and wait for that."""
        self._halt.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

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
