"""
What chance alone hardly brings together, though it happens: rules of several steps.

Most of them make late money: a page is paid whose units nobody holds any more.
"""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from core.models.checkout import Checkout
from tests.model.steps import CARTS, NUMBERS, WHO, Steps, stumbles
from tests.model.world import PRODUCTS, VISITORS, Json, Stumble

Over = Literal["here only", "a copy", "two copies"]
Units = Literal["free", "held", "sold"]
Told = Literal["nobody", "by the return page", "by messages", "by all at once"]


@dataclass(frozen=True)
class Late:
    """How a page comes to be paid that was over, and who tells the shop."""

    over: Over
    units: Units
    method: Literal["card", "sepa_debit"]
    told: Told
    stumble: Stumble | None


LATE = st.builds(
    Late,
    over=st.sampled_from(["here only", "a copy", "two copies"]),
    units=st.sampled_from(["free", "held", "sold", "sold"]),
    method=st.sampled_from(["card", "card", "sepa_debit"]),
    told=st.sampled_from(
        ["nobody", "by the return page", "by messages", "by all at once"]
    ),
    stumble=st.none() | stumbles("refund", "retrieve", "list_refunds", "expire"),
)


class Together(Steps):
    @precondition(lambda self: not self.is_out)
    @rule(visitor=WHO, cart=CARTS, late=LATE)
    def pay_a_page_that_is_over(
        self, visitor: int, cart: dict[int, int], late: Late
    ) -> None:
        page = self._page(visitor, cart)
        if page is None:
            return
        pages = self._pages_to_pay(*page, visitor, late.over)
        if late.units != "free":
            self._take_all_units(pay=late.units == "sold")
        for each in pages:
            self.world.pay(each, late.method)
        for each in pages:
            self._tell(each, late.told, late.stumble)

    def _pages_to_pay(
        self, checkout_id: int, page: str, visitor: int, over: Over
    ) -> list[str]:
        if over == "here only":
            self.world.end_here_only(checkout_id, page)
            return [page]
        self.world.turn_back(checkout_id, f"visitor-{visitor}")
        copies = [self.world.copy_of(page) for _ in range(1 + (over == "two copies"))]
        return [copy for copy in copies if copy is not None]

    def _tell(self, session_id: str, told: Told, stumble: Stumble | None) -> None:
        messages = self.world.messages_about(session_id)
        with self.world.stumbling(stumble):
            if told == "by the return page":
                self.world.come_back(session_id)
            elif told == "by messages":
                for message in messages:
                    self.world.deliver(message, as_twin=False)
            elif told == "by all at once":
                self.world.tell_from_all_sides(session_id, messages)

    @precondition(lambda self: not self.is_out)
    @rule(visitor=WHO, cart=CARTS, is_first_told=st.booleans(), late=LATE)
    def pay_a_copy_of_a_page_that_was_sold(
        self, visitor: int, cart: dict[int, int], is_first_told: bool, late: Late
    ) -> None:
        """Two copies lie open in two tabs, and one is paid long after the other."""
        page = self._page(visitor, cart)
        if page is None:
            return
        pages = self._pages_to_pay(*page, visitor, "two copies")
        for each in pages:
            self.world.pay(each, "card")
            if is_first_told:
                self._tell(each, late.told, late.stumble)
            self.world.advance(hours=2)

    @rule(visitor=WHO, cart=CARTS, number=NUMBERS)
    def pay_while_all_are_told_at_once(
        self, visitor: int, cart: dict[int, int], number: int
    ) -> None:
        self._page(visitor, cart)
        if sessions := self.world.sessions():
            session_id = sessions[-1 - number % min(3, len(sessions))]["id"]
            self.world.pay(session_id, "card")
            messages = self.world.messages_about(session_id)
            self.world.tell_from_all_sides(session_id, messages)

    @rule(visitor=WHO, cart=CARTS)
    def pay_while_the_hold_ends(self, visitor: int, cart: dict[int, int]) -> None:
        page = self._page(visitor, cart)
        self.world.advance(minutes=16)
        if page is not None:
            self.world.pay_while_swept(page[1])

    @precondition(lambda self: not self.is_out)
    @rule(
        stumble=stumbles(),
        number=NUMBERS,
        what=st.sampled_from(["sweep", "reconcile", "come back", "turn back", "tell"]),
    )
    def go_on_while_stripe_stumbles(
        self, stumble: Stumble, number: int, what: str
    ) -> None:
        session = self._one_of(self.world.sessions(), number)
        messages = self.world.all("events")
        with self.world.stumbling(stumble):
            if what == "sweep":
                self.world.sweep()
            elif what == "reconcile":
                self.world.reconcile()
            elif what == "tell":
                for message in messages:
                    self.world.deliver(message, as_twin=False)
            elif session and what == "come back":
                self.world.come_back(session["id"])
            elif session:
                self._turn_back_from(session)

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
            self.world.pay(page[1], "card")

    @precondition(lambda self: not self.is_out)
    @rule(visitor=WHO, cart=CARTS, units=st.sampled_from(["free", "held", "sold"]))
    def let_a_delayed_payment_miss_its_limit(
        self, visitor: int, cart: dict[int, int], units: Units
    ) -> None:
        """The bank decides when the hold is over for long, and nobody is told."""
        self.restart_with_other_settings(allowed=True)
        page = self._page(visitor, cart)
        if page is None:
            return
        self.world.pay(page[1], "sepa_debit")
        self.world.come_back(page[1])
        for hours in (24 * 15, 25):
            self.world.advance(hours=hours)
            self.world.sweep()
            self.world.reconcile()
        if units != "free":
            self._take_all_units(pay=units == "sold")
        self.world.control(f"sessions/{page[1]}/settle", outcome="succeed")

    def _page(self, visitor: int, cart: dict[int, int]) -> tuple[int, str] | None:
        """Check out; return checkout and page of the visitor, if there is one now."""
        self.world.check_out(visitor, cart)
        return self.world.page_of(visitor)

    def _turn_back_from(self, session: Json) -> None:
        checkout_id = int(session["client_reference_id"])
        with self.world.database.read() as reading:
            visitor = reading.get_one(Checkout, checkout_id).visitor
        self.world.turn_back(checkout_id, visitor)

    def _take_all_units(self, *, pay: bool) -> None:
        """Let other customers hold whatever can be held, or buy it."""
        for visitor in range(VISITORS, VISITORS + 2 * PRODUCTS):
            number = visitor % PRODUCTS
            # Also when there are none: what is overdue can be had, too.
            units = min(2, self.world.available(number)) or 1
            page = self._page(visitor, {number: units})
            if page is not None and pay:
                self.world.pay(page[1], "card")
                self.world.come_back(page[1])
