"""Reconcile leaves Stripe the time that it asks for, as Stripe itself sees it."""

import pytest

from core import listing, payments, reconcile
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import add_product, begin

LISTS = 5
A_SECOND = 4
# The machine's clock may be put right meanwhile.
CLOCK_NOISE = 0.05


def test_stripe_sees_no_more_lists_a_second_than_it_allows(
    shop: Shop, stripe: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "_MOST_ROWS", 1)
    monkeypatch.setattr(listing, "CALLS_PER_SECOND", A_SECOND)
    mug = add_product(shop.database)
    for _ in range(LISTS):
        begin(shop, {mug: 1})
    before = stripe.look("clock")["now"]

    found = reconcile.reconcile(shop)

    calls = stripe.requests("/v1/checkout/sessions")
    came_after = [call["at"] - before for call in calls if call["method"] == "GET"]
    assert found.seen == len(came_after) == LISTS
    # Counted from before the first, so that a slow call can only make the rest later.
    early = [
        after
        for number, after in enumerate(came_after)
        if after < number / A_SECOND - CLOCK_NOISE
    ]
    assert early == []
