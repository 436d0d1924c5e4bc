"""What a customer and their bank do, for the hosted page and the control routes."""

from stripe_emulator.checkout import discounts, shipping
from stripe_emulator.money import payments
from stripe_emulator.serving.parts import Parts
from stripe_emulator.state.account import Json

_REDIRECT_SECONDS = 10.0


def choose(
    parts: Parts,
    session_id: str,
    *,
    rate: str | None = None,
    code: str | None = None,
) -> Json:
    """Choose a shipping rate or use a promotion code; return the session."""
    with parts.account.mutex:
        session = payments.open_session(parts.account, session_id)
        if rate and rate != _chosen(session):
            shipping.choose(parts.account, session, rate)
        if code:
            discounts.apply(parts.account, session, code)
        return session


def _chosen(session: Json) -> str | None:
    cost = session["shipping_cost"]
    return cost["shipping_rate"] if cost else None


def complete(
    parts: Parts,
    session_id: str,
    method: str,
    payer: Json,
    *,
    expected: int | None = None,
    waits: bool = True,
) -> Json:
    """Pay, then wait for the shop's answer, as Checkout does before it redirects."""
    parts.barriers.wait("pay", session_id, after=False)
    with parts.account.mutex:
        event = payments.pay(
            parts.account, session_id, method, payer, expected=expected
        )
    if waits:
        parts.webhooks.wait_for(event["id"], _REDIRECT_SECONDS)
    parts.barriers.wait("pay", session_id, after=True)
    return event


def settle(parts: Parts, session_id: str, outcome: payments.Outcome) -> Json:
    """Let the bank answer a delayed payment, then wait for the shop's answer."""
    parts.barriers.wait("settle", session_id, after=False)
    with parts.account.mutex:
        event = payments.settle(parts.account, session_id, outcome)
    parts.webhooks.wait_for(event["id"], _REDIRECT_SECONDS)
    return event
