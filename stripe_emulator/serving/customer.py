"""What a customer does on the hosted page, whoever presses the button."""

from typing import TYPE_CHECKING

from stripe_emulator.checkout import discounts, shipping
from stripe_emulator.money import payments
from stripe_emulator.state.account import Json

if TYPE_CHECKING:
    from stripe_emulator.emulator import Emulator

REDIRECT_SECONDS = 10.0


def choose(
    emulator: "Emulator",
    session_id: str,
    *,
    rate: str | None = None,
    code: str | None = None,
) -> Json:
    """Take another way of shipping, or use a promotion code; returns the session."""
    with emulator.account.mutex:
        session = payments.open_session(emulator.account, session_id)
        if rate and rate != _chosen(session):
            shipping.choose(emulator.account, session, rate)
        if code:
            discounts.apply(emulator.account, session, code)
        return session


def _chosen(session: Json) -> str | None:
    cost = session["shipping_cost"]
    return cost["shipping_rate"] if cost else None


def complete(
    emulator: "Emulator",
    session_id: str,
    method: str,
    payer: Json,
    *,
    expected: int | None = None,
    waits: bool = True,
) -> Json:
    """Pay, then wait for the shop's answer, as Checkout does before it redirects."""
    emulator.barriers.wait("pay", session_id, after=False)
    with emulator.account.mutex:
        event = payments.pay(
            emulator.account, session_id, method, payer, expected=expected
        )
    if waits:
        emulator.webhooks.wait_for(event["id"], REDIRECT_SECONDS)
    emulator.barriers.wait("pay", session_id, after=True)
    return event
