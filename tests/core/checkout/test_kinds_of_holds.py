"""A hold that the owner placed has no payment page, and must never get one."""

from datetime import datetime

from core.checkout import expiry, reconcile, settlement
from core.checkout.closing import Ending
from core.checkout.settlement import HOLD_OVER
from core.models.checkout import CUSTOMER, EXPIRED, OWNER
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import FakeClock, add_product, levels, reserved, status_of


def pages_asked_for(stripe: EmulatorServer) -> int:
    asked = stripe.requests("/checkout/sessions")
    return sum(request["method"] == "POST" for request in asked)


def test_a_hold_of_the_owner_ends_without_a_page_being_made_at_stripe(
    shop: Shop, clock: FakeClock, stripe: EmulatorServer, now: datetime
) -> None:
    mug = add_product(shop.database)
    checkout_id = reserved(shop.database, {mug: 2}, now, kind=OWNER)

    reconcile.reconcile(shop)
    clock.advance(minutes=16)
    swept = expiry.sweep(shop)

    assert (swept.expired, swept.kept) == (1, 0)
    assert status_of(shop.database, checkout_id) == EXPIRED
    assert levels(shop.database, mug) == (5, 0)
    assert pages_asked_for(stripe) == 0


def test_a_customers_hold_without_a_page_is_looked_up_at_stripe_first(
    shop: Shop, clock: FakeClock, stripe: EmulatorServer, now: datetime
) -> None:
    mug = add_product(shop.database)
    checkout_id = reserved(shop.database, {mug: 2}, now, kind=CUSTOMER)
    clock.advance(minutes=16)

    assert settlement.end(shop, checkout_id, HOLD_OVER) is Ending.CLOSED

    assert pages_asked_for(stripe) == 1
