"""
A model check: random sequences of all that may happen, and what must be true.

Customers, the owner, Stripe, its messages, time, faults and deaths are moved in every
order that Hypothesis can think of, on the real shop, the real database and the emulator
over HTTP. `MODEL_SEQUENCES=2000 ./run.sh test tests/model` makes a long run with other
sequences each time; what fails there is kept in `test_found.py`.
"""

import os

import pytest
import stripe as package
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from core import orders, refunds
from core.config import Config
from core.database import Database
from core.errors import ShopError
from core.models import Checkout, Order, OrderLine
from tests.emulator import EmulatorServer
from tests.model import invariants
from tests.model.world import PRODUCTS, VISITORS, Json, World, made

pytestmark = pytest.mark.slow

SEQUENCES = int(os.environ.get("MODEL_SEQUENCES", "0"))
SHORT_SEQUENCES = 50
STEPS = 25

# To make a failing sequence shorter takes minutes; MODEL_SHRINK=yes does it.
PHASES = [Phase.explicit, Phase.generate]
if os.environ.get("MODEL_SHRINK"):
    PHASES.append(Phase.shrink)

CARTS = st.dictionaries(
    st.integers(0, PRODUCTS - 1), st.integers(1, 2), min_size=1, max_size=PRODUCTS
)
WHO = st.integers(0, VISITORS - 1)
NUMBERS = st.integers(0, 1_000)
METHODS = st.sampled_from(["card", "card", "sepa_debit"])
FAULTS = st.sampled_from(
    [
        ("error_before", 500),
        ("error_after", 500),
        ("drop_after", 500),
        ("status", 400),
        ("status", 401),
        ("status", 402),
        ("status", 429),
        ("status", 502),
    ]
)
ROUTES = ["create", "retrieve", "expire", "list", "refund", "list_refunds"]


class ShopAndStripe(RuleBasedStateMachine):
    """One sequence; the subclass of a test says on what."""

    config: Config
    base: Database
    server: EmulatorServer

    @initialize()
    def begin(self) -> None:
        self.world: World = made(self.config, self.base, self.server)
        self.is_out = False

    # Customers

    @rule(visitor=WHO, cart=CARTS)
    def check_out(self, visitor: int, cart: dict[int, int]) -> None:
        self.world.check_out(visitor, cart)

    @precondition(lambda self: not self.is_out)
    @rule(visitor=WHO, cart=CARTS, fault=FAULTS, times=st.sampled_from([1, 9]))
    def check_out_while_stripe_stumbles(
        self, visitor: int, cart: dict[int, int], fault: tuple[str, int], times: int
    ) -> None:
        kind, status = fault
        self.world.control(
            "faults", route="create", kind=kind, status=status, times=times
        )
        self.world.check_out(visitor, cart)
        self.world.control("faults/clear")

    @rule(visitor=WHO, cart=CARTS, is_made=st.booleans())
    def die_in_a_checkout(
        self, visitor: int, cart: dict[int, int], is_made: bool
    ) -> None:
        if is_made:
            self.world.die_before_the_page_is_noted(visitor, cart)
        else:
            self.world.die_before_the_page(visitor, cart)

    @rule(
        number=NUMBERS,
        method=st.sampled_from(["card", "ideal", "sepa_debit", "decline"]),
    )
    def pay(self, number: int, method: str) -> None:
        if sessions := self.world.sessions():
            self.world.pay(sessions[number % len(sessions)]["id"], method)

    @rule(number=NUMBERS)
    def turn_back(self, number: int) -> None:
        with self.world.database.read() as session:
            checkouts = session.scalars(select(Checkout).order_by(Checkout.id)).all()
        if checkouts:
            chosen = checkouts[number % len(checkouts)]
            self.world.turn_back(chosen.id, chosen.visitor)

    @rule(number=NUMBERS)
    def come_back(self, number: int) -> None:
        if sessions := self.world.sessions():
            self.world.come_back(sessions[number % len(sessions)]["id"])

    # Stripe

    @rule(number=NUMBERS, as_twin=st.booleans())
    def deliver_a_message(self, number: int, as_twin: bool) -> None:
        if messages := self.world.all("events"):
            self.world.deliver(messages[number % len(messages)], as_twin=as_twin)

    @rule()
    def deliver_all_messages_backwards(self) -> None:
        for message in reversed(self.world.all("events")):
            self.world.deliver(message, as_twin=False)

    @rule(number=NUMBERS, outcome=st.sampled_from(["succeed", "fail"]))
    def settle_a_delayed_payment(self, number: int, outcome: str) -> None:
        if waiting := self.world.delayed():
            session_id = waiting[number % len(waiting)]["id"]
            self.world.control(f"sessions/{session_id}/settle", outcome=outcome)

    @rule(number=NUMBERS)
    def copy_an_expired_page(self, number: int) -> None:
        expired = [s for s in self.world.sessions() if s["status"] == "expired"]
        if expired:
            self.world.copy_of(expired[number % len(expired)]["id"])

    @rule(
        visitor=WHO,
        cart=CARTS,
        meanwhile=st.sampled_from(["free", "held", "sold"]),
        method=METHODS,
    )
    def pay_the_copy_of_a_page_that_is_over(
        self, visitor: int, cart: dict[int, int], meanwhile: str, method: str
    ) -> None:
        """Late money, as rules by chance hardly make it."""
        page = self._page(visitor, cart)
        if page is None:
            return
        self.world.turn_back(int(page["client_reference_id"]), f"visitor-{visitor}")
        copy = self.world.copy_of(page["id"])
        if meanwhile != "free":
            self._take_all_units(pay=meanwhile == "sold")
        if copy is not None:
            self.world.pay(copy, method)

    @rule(visitor=WHO, cart=CARTS, number=NUMBERS)
    def pay_while_all_are_told_at_once(
        self, visitor: int, cart: dict[int, int], number: int
    ) -> None:
        self._page(visitor, cart)
        if sessions := self.world.sessions():
            session_id = sessions[-1 - number % min(3, len(sessions))]["id"]
            self.world.pay(session_id, "card")
            self.world.tell_from_all_sides(session_id)

    @precondition(lambda self: not self.is_out)
    @rule(
        route=st.sampled_from(ROUTES),
        fault=FAULTS,
        times=st.sampled_from([1, 2, 9]),
        number=NUMBERS,
        what=st.sampled_from(["sweep", "reconcile", "come back", "turn back", "tell"]),
    )
    def go_on_while_stripe_stumbles(
        self, route: str, fault: tuple[str, int], times: int, number: int, what: str
    ) -> None:
        sessions = self.world.sessions()
        messages = self.world.all("events")
        kind, status = fault
        self.world.control("faults", route=route, kind=kind, status=status, times=times)
        if what == "sweep":
            self.world.sweep()
        elif what == "reconcile":
            self.world.reconcile()
        elif what == "tell":
            for message in messages:
                self.world.deliver(message, as_twin=False)
        elif sessions:
            session = sessions[number % len(sessions)]
            if what == "come back":
                self.world.come_back(session["id"])
            else:
                self._turn_back_from(session)
        self.world.control("faults/clear")

    @rule(visitor=WHO, cart=CARTS, pays=st.booleans())
    def let_a_hold_be_over_while_stripe_is_away(
        self, visitor: int, cart: dict[int, int], pays: bool
    ) -> None:
        """Another customer wants the units, and Stripe can be paid all the while."""
        page = self._page(visitor, cart)
        self.world.go_out()
        self.world.advance(minutes=16)
        self.world.sweep()
        self._take_all_units(pay=False)
        if not self.is_out:
            self.world.come_up()
        if page is not None and pays:
            self.world.pay(page["id"], "card")

    def _page(self, visitor: int, cart: dict[int, int]) -> Json | None:
        """Check out; return the page that can be paid then, if there is one."""
        self.world.check_out(visitor, cart)
        for session in reversed(self.world.sessions()):
            with self.world.database.read() as reading:
                checkout = reading.get_one(
                    Checkout, int(session["client_reference_id"])
                )
            if session["status"] == "open" and checkout.visitor == f"visitor-{visitor}":
                return session
        return None

    def _turn_back_from(self, session: Json) -> None:
        checkout_id = int(session["client_reference_id"])
        with self.world.database.read() as reading:
            visitor = reading.get_one(Checkout, checkout_id).visitor
        self.world.turn_back(checkout_id, visitor)

    def _take_all_units(self, *, pay: bool) -> None:
        """Let other customers hold whatever can be held, or buy it."""
        for visitor in range(VISITORS, VISITORS + 2 * PRODUCTS):
            for units in (2, 1):
                page = self._page(visitor, {visitor % PRODUCTS: units})
                if page is not None and pay:
                    self.world.pay(page["id"], "card")
                    self.world.come_back(page["id"])

    @rule(number=NUMBERS)
    def die_in_a_refund(self, number: int) -> None:
        self.world.die_in_a_refund(number)

    @rule(status=st.sampled_from(["pending", "failed"]))
    def make_the_next_refund_come_back_as(self, status: str) -> None:
        self.world.control("refunds/next", status=status)

    @rule(number=NUMBERS, outcome=st.sampled_from(["succeed", "fail"]))
    def conclude_a_refund(self, number: int, outcome: str) -> None:
        if found := self.world.all("refunds"):
            refund_id = found[number % len(found)]["id"]
            self.world.control(f"refunds/{refund_id}/{outcome}")

    @rule(number=NUMBERS, cents=st.integers(1, 2000))
    def refund_at_stripe(self, number: int, cents: int) -> None:
        if charges := self._paid():
            payment = charges[number % len(charges)]
            self.world.control(f"charges/{payment}/refund", amount=cents)

    @rule(number=NUMBERS)
    def dispute(self, number: int) -> None:
        if charges := self._paid():
            self.world.control(f"charges/{charges[number % len(charges)]}/dispute")

    def _paid(self) -> list[str]:
        return [
            session["payment_intent"]
            for session in self.world.sessions()
            if session["payment_status"] == "paid" and session["payment_intent"]
        ]

    @precondition(lambda self: not self.is_out)
    @rule()
    def go_out(self) -> None:
        self.is_out = True
        self.world.go_out()

    @precondition(lambda self: self.is_out)
    @rule()
    def come_up(self) -> None:
        self.is_out = False
        self.world.come_up()

    # The shop

    @rule(minutes=st.sampled_from([1, 6, 16, 40, 60 * 25, 60 * 24 * 15]))
    def let_time_pass(self, minutes: int) -> None:
        self.world.advance(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @rule()
    def reconcile(self) -> None:
        self.world.reconcile()

    @rule(allowed=st.booleans())
    def restart_with_other_settings(self, allowed: bool) -> None:
        self.world.restart(
            promotion_codes=allowed,
            excluded_methods=() if allowed else ("sepa_debit",),
        )

    # The owner

    @rule(number=st.integers(0, PRODUCTS - 1))
    def receive(self, number: int) -> None:
        self.world.receive(number, 1)

    @rule(number=NUMBERS, cents=st.integers(1, 3000), restocks=st.booleans())
    def refund(self, number: int, cents: int, restocks: bool) -> None:
        with self.world.database.read() as session:
            found = session.execute(
                select(OrderLine.order_id, OrderLine.product_id, Order.amount_cents)
                .join(Order, Order.id == OrderLine.order_id)
                .order_by(OrderLine.id)
            ).all()
        if not found:
            return
        order_id, product_id, amount = found[number % len(found)]
        now = self.world.clock()
        try:
            self.world.database.write(
                lambda session: refunds.request_by_owner(
                    session, order_id, min(cents, amount), who="owner", now=now
                )
            )
            if restocks:
                self.world.database.write(
                    lambda session: orders.take_back(
                        session, order_id, {product_id: 1}, who="owner", now=now
                    )
                )
                self.world.received += 1
        except ShopError:
            return

    @rule(number=NUMBERS, back=st.booleans())
    def fulfil(self, number: int, back: bool) -> None:
        with self.world.database.read() as session:
            ids = session.scalars(select(Order.id).order_by(Order.id)).all()
        if ids:
            change = orders.unfulfil if back else orders.fulfil
            order_id, now = ids[number % len(ids)], self.world.clock()
            self.world.database.write(
                lambda session: change(session, order_id, who="owner", now=now)
            )

    @invariant()
    def everything_is_as_it_must_be(self) -> None:
        if hasattr(self, "world"):
            invariants.hold_always(self.world)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.come_up()
            self.world.let_all_end()
            invariants.hold_always(self.world)
            invariants.hold_in_the_end(self.world)
            self.world.http.close()


def make_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package try again at once: how often it does stays the same."""
    monkeypatch.setattr(package.HTTPClient, "INITIAL_DELAY", 0.001)
    monkeypatch.setattr(package.HTTPClient, "MAX_DELAY", 0.001)
    monkeypatch.setattr("core.checkout.BUSY_PAUSES", (0.001, 0.001))
    monkeypatch.setattr("core.reconcile.BUSY_PAUSES", (0.001, 0.001))
    monkeypatch.setattr("core.reconcile.CALLS_PER_SECOND", 10_000)


def test_no_sequence_loses_a_payment_or_sells_what_is_not_there(
    config: Config,
    database: Database,
    stripe: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_impatient(monkeypatch)

    run(config, database, stripe)


def run(
    config: Config,
    database: Database,
    stripe: EmulatorServer,
    *,
    sequences: int = SEQUENCES or SHORT_SEQUENCES,
) -> None:
    """Run so many sequences, or until one fails."""
    stripe.control("webhooks/endpoint", url=None)

    class Sequence(ShopAndStripe):
        pass

    Sequence.config, Sequence.base, Sequence.server = config, database, stripe

    run_state_machine_as_test(
        Sequence,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not SEQUENCES,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
