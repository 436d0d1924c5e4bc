"""Reconcile leaves Stripe the time that it asks for, as Stripe itself sees it."""

import pytest

from core.checkout import reconcile
from core.payments import gateway, pace
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import add_product, begin

A_SECOND = 4
CALLS = 3 * A_SECOND
# The machine's clock may be put right meanwhile.
CLOCK_NOISE = 0.05


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "CALLS_PER_SECOND", A_SECOND)


def too_early(came_after: list[float]) -> list[float]:
    """
    Return the calls that came before their time: a second's calls may go at once.

    Counted from before the first, so that a slow call can only make the rest later.
    """
    return [
        after
        for number, after in enumerate(sorted(came_after))
        if after < (number - A_SECOND) / A_SECOND - CLOCK_NOISE
    ]


def test_stripe_sees_no_more_lists_a_second_than_it_allows(
    shop: Shop, stripe: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "_MOST_ROWS", 1)
    mug = add_product(shop.database, stock_units=CALLS)
    for _ in range(CALLS):
        begin(shop, {mug: 1})
    before = stripe.look("clock")["now"]

    found = reconcile.reconcile(shop)

    calls = stripe.requests("/v1/checkout/sessions")
    came_after = [call["at"] - before for call in calls if call["method"] == "GET"]
    assert found.seen == len(came_after) == CALLS
    assert too_early(came_after) == []


def test_after_an_outage_stripe_sees_no_more_questions_a_second_than_it_allows(
    shop: Shop, stripe: EmulatorServer
) -> None:
    mug = add_product(shop.database, stock_units=CALLS)
    stripe.webhooks("drop")
    for _ in range(CALLS):
        stripe.pay(begin(shop, {mug: 1}).stripe_session_id, wait=False)
    before = stripe.look("clock")["now"]

    found = reconcile.reconcile(shop)

    came_after = [
        call["at"] - before
        for call in stripe.requests()
        if call["method"] == "GET" and "/sessions/cs_" in call["path"]
    ]
    assert found.settled == len(came_after) == CALLS
    assert too_early(came_after) == []
