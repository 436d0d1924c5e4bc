"""What may happen, one thing at a time: the simple rules of the model check."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import select

from core.config import Config
from core.database.engine import Database
from core.errors import ShopError
from core.models.checkout import Checkout
from core.models.orders import Order, OrderLine
from core.models.refunds import FAILED, Refund
from core.orders import orders
from core.refunds import refunds
from tests.emulator import EmulatorServer
from tests.model.world import CODES, PRODUCTS, VISITORS, Json, Stumble, World, made

CARTS = st.dictionaries(
    st.integers(0, PRODUCTS - 1), st.integers(1, 2), min_size=1, max_size=PRODUCTS
)
WHO = st.integers(0, VISITORS - 1)
NUMBERS = st.integers(0, 1_000)
ROUTES = [
    "create",
    "retrieve",
    "expire",
    "list",
    "refund",
    "list_refunds",
    "retrieve_dispute",
    "list_disputes",
]
KINDS = [
    ("error_before", 500),
    ("error_after", 500),
    ("drop_after", 500),
    ("reset_before", 500),
    ("reset_after", 500),
    ("status", 400),
    ("status", 401),
    ("status", 402),
    ("status", 409),
    ("status", 429),
    ("status", 502),
]


def stumbles(*routes: str) -> st.SearchStrategy[Stumble]:
    """Draw a fault on one of these *routes*, for one call, some or all."""
    return st.builds(
        Stumble,
        route=st.sampled_from(routes or ROUTES),
        kind=st.sampled_from(KINDS),
        times=st.sampled_from([1, 2, 9]),
    )


class Steps(RuleBasedStateMachine):
    """A world and the steps in it; the subclass of a test says on what."""

    config: Config
    base: Database
    server: EmulatorServer
    world: World
    out_for = 0

    @initialize(allowed=st.booleans(), carts=st.lists(CARTS, min_size=1, max_size=3))
    def begin(self, allowed: bool, carts: list[dict[int, int]]) -> None:
        # Hypothesis leaves out some rules of each sequence, often that of checking out.
        self.world = made(self.config, self.base, self.server)
        self.restart_with_other_settings(allowed)
        for visitor, cart in enumerate(carts):
            self.world.check_out(visitor, cart)

    @property
    def is_out(self) -> bool:
        return self.out_for > 0

    # Customers

    @rule(visitor=WHO, cart=CARTS)
    def check_out(self, visitor: int, cart: dict[int, int]) -> None:
        self.world.check_out(visitor, cart)

    @precondition(lambda self: not self.is_out)
    @rule(visitor=WHO, cart=CARTS, stumble=stumbles("create", "create", "expire"))
    def check_out_while_stripe_stumbles(
        self, visitor: int, cart: dict[int, int], stumble: Stumble
    ) -> None:
        with self.world.stumbling(stumble):
            self.world.check_out(visitor, cart)

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
        if session := self._one_of(self.world.sessions(), number):
            self.world.pay(session["id"], method)

    @rule(number=NUMBERS, code=st.sampled_from(sorted(CODES)))
    def pay_with_a_code(self, number: int, code: str) -> None:
        if session := self._one_of(self.world.sessions(), number):
            self.world.pay(session["id"], "card", code=code)

    @rule(number=NUMBERS)
    def turn_back(self, number: int) -> None:
        with self.world.database.read() as session:
            checkouts = session.scalars(select(Checkout).order_by(Checkout.id)).all()
        if checkouts:
            chosen = checkouts[number % len(checkouts)]
            self.world.turn_back(chosen.id, chosen.visitor)

    @rule(number=NUMBERS)
    def come_back(self, number: int) -> None:
        if session := self._one_of(self.world.sessions(), number):
            self.world.come_back(session["id"])

    # Stripe

    @rule(number=NUMBERS, as_twin=st.booleans())
    def deliver_a_message(self, number: int, as_twin: bool) -> None:
        if message := self._one_of(self.world.all("events"), number):
            self.world.deliver(message, as_twin=as_twin)

    @rule()
    def deliver_all_messages_backwards(self) -> None:
        for message in reversed(self.world.all("events")):
            self.world.deliver(message, as_twin=False)

    @rule(number=NUMBERS, outcome=st.sampled_from(["succeed", "fail"]))
    def settle_a_delayed_payment(self, number: int, outcome: str) -> None:
        if session := self._one_of(self.world.delayed(), number):
            self.world.control(f"sessions/{session['id']}/settle", outcome=outcome)

    @rule(number=NUMBERS)
    def copy_an_expired_page(self, number: int) -> None:
        expired = [s for s in self.world.sessions() if s["status"] == "expired"]
        if session := self._one_of(expired, number):
            self.world.copy_of(session["id"])

    @rule(number=NUMBERS)
    def die_in_a_refund(self, number: int) -> None:
        self.world.die_in_a_refund(number)

    @rule(status=st.sampled_from(["pending", "failed"]))
    def make_the_next_refund_come_back_as(self, status: str) -> None:
        self.world.control("refunds/next", status=status)

    @rule(number=NUMBERS, outcome=st.sampled_from(["succeed", "fail"]))
    def conclude_a_refund(self, number: int, outcome: str) -> None:
        if refund := self._one_of(self.world.all("refunds"), number):
            self.world.control(f"refunds/{refund['id']}/{outcome}")

    @rule(number=NUMBERS, cents=st.integers(1, 2000))
    def refund_at_stripe(self, number: int, cents: int) -> None:
        if session := self._one_of(self._paid(), number):
            charge = session["payment_intent"]
            self.world.control(f"charges/{charge}/refund", amount=cents)

    @rule(number=NUMBERS)
    def dispute(self, number: int) -> None:
        if session := self._one_of(self._paid(), number):
            self.world.control(f"charges/{session['payment_intent']}/dispute")

    @rule(number=NUMBERS, outcome=st.sampled_from(["won", "lost"]))
    def close_a_dispute(self, number: int, outcome: str) -> None:
        if dispute := self._one_of(self.world.all("disputes"), number):
            self.world.control(f"disputes/{dispute['id']}/close", outcome=outcome)

    @precondition(lambda self: not self.is_out)
    @rule(steps=st.integers(1, 6))
    def go_out(self, steps: int) -> None:
        self.out_for = steps + 1
        self.world.go_out()

    @invariant()
    def an_outage_does_not_last(self) -> None:
        if self.out_for:
            self.out_for -= 1
            if not self.out_for:
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

    @rule()
    def send_letters(self) -> None:
        self.world.send_letters()

    @rule()
    def die_with_a_letter(self) -> None:
        self.world.die_with_a_letter()

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
                    lambda session: orders.return_units(
                        session, order_id, {product_id: 1}, who="owner", now=now
                    )
                )
                self.world.received += 1
        except ShopError:
            return

    @rule(number=NUMBERS)
    def try_a_failed_refund_again(self, number: int) -> None:
        query = select(Refund.id).where(Refund.status == FAILED).order_by(Refund.id)
        with self.world.database.read() as session:
            failed = session.scalars(query).all()
        if failed:
            self.world.refund_again(failed[number % len(failed)])

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

    def _paid(self) -> list[Json]:
        return [
            session
            for session in self.world.sessions()
            if session["payment_status"] == "paid" and session["payment_intent"]
        ]

    def _one_of(self, found: list[Json], number: int) -> dict[str, Any] | None:
        return found[number % len(found)] if found else None
