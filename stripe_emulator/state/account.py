"""
The emulated Stripe account: every object, behind one mutex.

Hold `mutex` to read or change an object. Of two payments, or of a payment and an
expire, exactly one then wins.
"""

import heapq
import secrets
import string
import threading
from collections.abc import Callable
from typing import Any

import stripe

from stripe_emulator.state.clock import Clock
from stripe_emulator.validation.errors import missing
from stripe_emulator.validation.stripe_types import blank

Json = dict[str, Any]

TABLES = (
    "sessions",
    "contents",  # a session's line items, and the data for its payment intent
    "payment_intents",
    "charges",
    "refunds",
    "disputes",
    "coupons",
    "promotion_codes",
    "shipping_rates",
    "products",
    "prices",
    "payment_methods",
    "instruments",  # what is behind a payment method
    "settlements",  # delayed payments that settle without a test
    "events",
    "deliveries",
    "answers",
)
_NOUNS = {
    "sessions": "checkout.session",
    "payment_intents": "payment_intent",
    "charges": "charge",
    "refunds": "refund",
    "events": "event",
    "disputes": "dispute",
    "coupons": "coupon",
    "promotion_codes": "promotion code",
    "shipping_rates": "shipping rate",
    "products": "product",
    "prices": "price",
    "payment_methods": "PaymentMethod",
}
# One letter per byte: ids must be unique, not evenly distributed.
_LETTERS = (f"{string.ascii_letters}{string.digits}" * 5)[:256].encode()


def new_id(prefix: str, length: int = 24) -> str:
    return f"{prefix}_{secrets.token_bytes(length).translate(_LETTERS).decode()}"


class Account:
    def __init__(self, clock: Clock) -> None:
        self.mutex = threading.RLock()
        self.clock = clock
        self.base_url = ""
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
        self.changed: set[tuple[str, str]] | None = None  # None: not recorded
        self.next_refunds: list[str] = []  # their statuses
        self._ends: list[tuple[int, str]] = []
        self.on_event: Callable[[Json], None] = lambda event: None

    def now(self) -> int:
        return int(self.clock.now())

    def put(self, table: str, object_id: str, value: Any) -> None:
        """Store *value*, or record that it was changed in place."""
        self.tables[table][object_id] = value
        self._note(table, object_id)

    def drop(self, table: str, object_id: str) -> None:
        self.tables[table].pop(object_id, None)
        self._note(table, object_id)

    def _note(self, table: str, object_id: str) -> None:
        if self.changed is not None:
            self.changed.add((table, object_id))

    def get(self, table: str, object_id: str, *, param: str = "id") -> Json:
        try:
            found: Json = self.tables[table][object_id]
        except KeyError:
            raise missing(_NOUNS[table], object_id, param=param) from None
        return found

    def watch_end(self, session: Json) -> None:
        heapq.heappush(self._ends, (session["expires_at"], session["id"]))

    def due_sessions(self) -> list[Json]:
        """The open sessions whose time is over; each is returned once."""
        due = []
        while self._ends and self._ends[0][0] <= self.clock.now():
            session = self.tables["sessions"].get(heapq.heappop(self._ends)[1])
            if session is not None and session["status"] == "open":
                due.append(session)
        return due

    def clear(self) -> None:
        self._ends.clear()
        self.next_refunds.clear()
        for name, rows in self.tables.items():
            for object_id in rows:
                self._note(name, object_id)
            rows.clear()

    def record_event(
        self,
        kind: str,
        subject: Json,
        *,
        request: Json | None = None,
        before: Json | None = None,
    ) -> Json:
        """
        Store an event with a copy of *subject*, and send it.

        *before* has the previous values of the fields that have changed.
        """
        data = {"object": _frozen(subject)}
        event = blank(stripe.Event) | {
            "id": new_id("evt", 24),
            "object": "event",
            "api_version": stripe.api_version,
            "created": self.now(),
            "data": data if before is None else {**data, "previous_attributes": before},
            "livemode": False,
            "pending_webhooks": 0,
            "request": request or {"id": None, "idempotency_key": None},
            "type": kind,
        }
        for name in ("account", "context"):  # only on events of connected accounts
            del event[name]
        self.put("events", event["id"], event)
        self.on_event(event)
        return event


def _frozen(value: Any) -> Any:
    """A deep copy of plain JSON."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_frozen(item) for item in value]
    return value
