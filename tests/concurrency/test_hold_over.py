"""Holds that end by themselves: real time, real schedulers inside gunicorn."""

import pytest

from core.clock import utcnow
from core.database.engine import Database
from core.models.checkout import EXPIRED, PENDING
from tests.concurrency.conftest import OpenStorefront
from tests.concurrency.rush import answers, rush
from tests.emulator import EmulatorServer
from tests.factories import (
    add_product,
    assert_invariants,
    eventually,
    levels,
    open_sessions,
    sessions_at,
    status_of,
)

# Stripe tells of every closed page: the schedulers must do without.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.daily_on("sqlite"),
    pytest.mark.usefixtures("silent_stripe"),
]

# The shortest hold that a shop can be given, and how long after it all must be over.
HOLD_MINUTES = "0.05"
HOLD_SECONDS = 3
SOON_SECONDS = 10


def test_an_unpaid_hold_is_over_within_seconds_of_its_deadline(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> None:
    storefront = open_storefront(RESERVATION_MINUTES=HOLD_MINUTES)
    mug = add_product(database)
    begun = utcnow()
    (page,) = [each.body for each in answers(rush(storefront.url, [{mug: 2}]))]

    eventually(
        lambda: status_of(database, page["checkout_id"]) == EXPIRED,
        seconds=HOLD_SECONDS + SOON_SECONDS,
    )

    assert (utcnow() - begun).total_seconds() >= HOLD_SECONDS
    assert sessions_at(stripe) == {page["stripe_session_id"]: "expired"}
    assert levels(database, mug) == (5, 0)
    assert_invariants(database)


def test_units_stay_reserved_until_stripe_has_closed_the_page(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> None:
    storefront = open_storefront(RESERVATION_MINUTES=HOLD_MINUTES)
    mug = add_product(database)
    stripe.barrier("expire")
    (page,) = [each.body for each in answers(rush(storefront.url, [{mug: 2}]))]

    stripe.wait_for_waiter("expire")
    assert status_of(database, page["checkout_id"]) == PENDING
    assert levels(database, mug) == (5, 2)
    stripe.release("expire")

    eventually(lambda: status_of(database, page["checkout_id"]) == EXPIRED)
    assert open_sessions(stripe) == []
    assert levels(database, mug) == (5, 0)


def test_two_storefronts_on_one_database_end_every_hold_once(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> None:
    storefronts = [open_storefront(RESERVATION_MINUTES=HOLD_MINUTES) for _ in range(2)]
    mug = add_product(database, stock_units=20)
    # Slow enough for every scheduler to pass by while another one waits for Stripe.
    stripe.fault("expire", "slow", seconds=1.5, times=0)

    pages = [
        answer.body
        for storefront in storefronts
        for answer in answers(rush(storefront.url, [{mug: 1}] * 8))
    ]
    eventually(
        lambda: (
            {status_of(database, page["checkout_id"]) for page in pages} == {EXPIRED}
        ),
        seconds=HOLD_SECONDS + SOON_SECONDS,
    )

    assert len(pages) == 16
    assert open_sessions(stripe) == []
    assert levels(database, mug) == (20, 0)
    # Each was taken by one of the four schedulers, so Stripe was asked once for each.
    assert len(stripe.requests("/expire")) == 16
    assert_invariants(database)
