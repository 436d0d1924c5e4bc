"""The parts of the emulator that requests work with."""

from collections import deque

from stripe_emulator.checkout import sessions
from stripe_emulator.faults.barriers import Barriers
from stripe_emulator.faults.injected import Faults
from stripe_emulator.money import payment_pages
from stripe_emulator.state.account import Account, Json
from stripe_emulator.state.clock import Clock
from stripe_emulator.state.idempotency import Keys
from stripe_emulator.webhooks.deliveries import Webhooks

_MOST_REQUESTS = 5000


class Parts:
    """*key* is the only API key that is accepted; None accepts every test key."""

    def __init__(
        self,
        *,
        key: str | None = None,
        delay_seconds: float = 0.0,
    ) -> None:
        self.clock = Clock()
        self.key = key
        self.delay_seconds = delay_seconds
        self.account = Account(self.clock)
        self.keys = Keys(self.account)
        self.faults = Faults()
        self.barriers = Barriers()
        self.webhooks = Webhooks(self.account)
        self.account.on_event = self.webhooks.send
        self.requests: deque[Json] = deque(maxlen=_MOST_REQUESTS)

    def send_webhooks(self, url: str | None, secret: str) -> None:
        self.webhooks.url, self.webhooks.secret = url, secret

    def end_due(self) -> None:
        """Expire the sessions and settle the payments that are due."""
        with self.account.mutex:
            sessions.end_due(self.account)
            payment_pages.settle_due(self.account)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.end_due()
        self.webhooks.wake()

    def reset(self) -> None:
        """Start afresh: no objects, no faults, the real time."""
        self.barriers.release(None)
        self.faults.clear()
        with self.account.mutex:
            self.webhooks.clear()
            self.account.clear()
            self.requests.clear()
            self.clock.reset()
