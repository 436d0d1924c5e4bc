"""What a customer does on the hosted page, whoever presses the button."""

from typing import TYPE_CHECKING

from stripe_emulator import payments
from stripe_emulator.account import Json

if TYPE_CHECKING:
    from stripe_emulator.emulator import Emulator

REDIRECT_SECONDS = 10.0
DEMO_PAYER: Json = {"email": "test@example.com", "name": "Test Tester"}


def complete(
    emulator: "Emulator",
    session_id: str,
    method: str,
    payer: Json,
    *,
    waits: bool = True,
) -> Json:
    """Pay, then wait for the shop's answer, as Checkout does before it redirects."""
    emulator.barriers.wait("pay", session_id, after=False)
    with emulator.account.mutex:
        event = payments.pay(emulator.account, session_id, method, payer)
    if waits:
        emulator.webhooks.wait_for(event["id"], REDIRECT_SECONDS)
    emulator.barriers.wait("pay", session_id, after=True)
    return event
