"""
The queue of events to the shop: sent at once, then repeated until it answers 2xx.

The pauses grow from half a second to a minute, for three days; Stripe's grow to hours.
Every attempt has a new signature with the time of this machine, because the shop does
not know of a clock that a test has moved.
"""

import contextlib
import heapq
import json
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args

from stripe_emulator.state.account import Account, Json, new_id
from stripe_emulator.webhooks import signing
from stripe_emulator.webhooks.posting import Posting

Mode = Literal["normal", "hold", "drop", "duplicate", "twice"]
MODES = get_args(Mode)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
_GIVE_UP_SECONDS = 3 * 86_400
_SENDERS = 16
_MOST_ATTEMPTS = 5000


class Webhooks:
    """One endpoint. Deliveries stay in the account until they succeed or expire."""

    def __init__(self, account: Account) -> None:
        self.url: str | None = None
        self.secret = ""
        self.mode: Mode = "normal"
        self.types: tuple[
            str, ...
        ] = ()  # the types that the mode applies to; empty: all
        self.signature: signing.Signature = "right"
        self.attempts: deque[Json] = deque(maxlen=_MOST_ATTEMPTS)
        self._account = account
        self._queue: list[tuple[float, str]] = []
        self._unanswered: set[str] = set()
        self._posting = Posting()
        self._woken = threading.Condition(account.mutex)
        self._halted = False
        self._senders = ThreadPoolExecutor(_SENDERS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        with self._account.mutex:
            for delivery_id in self._account.tables["deliveries"]:
                self._queue_up(delivery_id)
        self._thread.start()

    def stop(self) -> None:
        with self._woken:
            self._halted = True
            self._woken.notify_all()
        self._posting.break_off()
        self._thread.join()
        self._senders.shutdown(wait=False, cancel_futures=True)

    def send(self, event: Json) -> None:
        """Send *event* as the mode says; the caller holds the mutex."""
        if self.url is None:
            return
        event["pending_webhooks"] = 1
        is_meant = not self.types or event["type"] in self.types
        mode = self.mode if is_meant else "normal"
        if mode != "drop":
            self._add(event, held=mode == "hold")
        if mode == "duplicate":
            self._add(event)
        if mode == "twice":
            twin = {**event, "id": new_id("evt")}
            self._account.put("events", twin["id"], twin)
            self._add(twin)

    def send_again(self, event: Json) -> None:
        """Send *event* in any mode, as the button in Stripe's Dashboard does."""
        if self.url is not None:
            self._add(event)

    def release(self, *, order: str = "normal") -> int:
        """Send the held events one after another; *order* may be "reversed"."""
        with self._woken:
            held = [d for d in self._deliveries() if d["held"]]
            for delivery in held:
                delivery["held"] = False
                self._account.put("deliveries", delivery["id"], delivery)
            ids = [delivery["id"] for delivery in held]
            in_turn = ids[::-1] if order == "reversed" else ids
            self._senders.submit(self._attempt_in_turn, in_turn)
            return len(held)

    def wait_for(self, event_id: str, seconds: float) -> bool:
        """
        Wait until the shop has answered *event_id* once, with any status.

        Does not wait for a held event.
        """
        with self._woken:
            return self._woken.wait_for(
                lambda: self._halted or event_id not in self._unanswered, seconds
            )

    def wake(self) -> None:
        with self._woken:
            self._woken.notify_all()

    def clear(self) -> None:
        with self._woken:
            self.mode, self.types, self.signature = "normal", (), "right"
            self._queue.clear()
            self._unanswered.clear()
            self.attempts.clear()

    def _deliveries(self) -> list[Json]:
        return list(self._account.tables["deliveries"].values())

    def _add(self, event: Json, *, held: bool = False) -> None:
        now = self._account.clock.now()
        delivery = {
            "id": new_id("whd"),
            "event": event["id"],
            "since": now,
            "due": now,
            "pause": _FIRST_PAUSE,
            "held": held,
        }
        self._account.put("deliveries", delivery["id"], delivery)
        self._queue_up(delivery["id"])
        if not delivery["held"]:
            self._unanswered.add(event["id"])

    def _queue_up(self, delivery_id: str) -> None:
        delivery = self._account.tables["deliveries"][delivery_id]
        if not delivery["held"]:
            heapq.heappush(self._queue, (delivery["due"], delivery_id))
            self._woken.notify_all()

    def _run(self) -> None:
        while (delivery_id := self._next()) is not None:
            # The pool refuses work once the emulator stops.
            with contextlib.suppress(RuntimeError):
                self._senders.submit(self._attempt, delivery_id)

    def _next(self) -> str | None:
        with self._woken:
            while not self._halted:
                wait = None
                if self._queue:
                    wait = self._queue[0][0] - self._account.clock.now()
                    if wait <= 0:
                        return heapq.heappop(self._queue)[1]
                self._woken.wait(wait)
        return None

    def _attempt_in_turn(self, delivery_ids: list[str]) -> None:
        for delivery_id in delivery_ids:
            self._attempt(delivery_id)

    def _attempt(self, delivery_id: str) -> None:
        with self._account.mutex:
            delivery = self._account.tables["deliveries"].get(delivery_id)
            url = self.url
            if delivery is None or url is None:
                return
            event = self._account.get("events", delivery["event"])
            payload = json.dumps(event, indent=2)
        signature = signing.header(payload, self.secret, self.signature)
        status = self._posting.post(url, payload.encode(), signature)
        with self._woken:
            at = self._account.clock.now()
            tried = {"event": event["id"], "type": event["type"]}
            self.attempts.append({**tried, "status": status, "at": at})
            self._unanswered.discard(event["id"])
            self._conclude(delivery, event, status)
            self._woken.notify_all()

    def _conclude(self, delivery: Json, event: Json, status: int | None) -> None:
        if delivery["id"] not in self._account.tables["deliveries"]:
            return  # there was a reset
        now = self._account.clock.now()
        is_through = status is not None and 200 <= status < 300
        if is_through or now - delivery["since"] > _GIVE_UP_SECONDS:
            event["pending_webhooks"] = 0 if is_through else 1
            self._account.put("events", event["id"], event)
            self._account.drop("deliveries", delivery["id"])
            return
        delivery["due"] = now + delivery["pause"]
        delivery["pause"] = min(2 * delivery["pause"], _LONGEST_PAUSE)
        self._account.put("deliveries", delivery["id"], delivery)
        self._queue_up(delivery["id"])
