"""
The storefront is killed with -9 at each step between a cart and the letter about it.

Once it is started again all is settled by itself: no page can be paid whose units are
not held, nothing is held for nobody, each payment has its order or its refund, once,
and of each the customer has one letter.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from core.clock import utcnow
from core.database.engine import Database
from core.models.catalogue import Product
from core.models.checkout import PENDING, Checkout
from core.models.mail import READY, Mail
from core.models.orders import Order, OrderLine
from core.models.refunds import REQUESTED, Refund
from core.owner import accounts
from tests.concurrency.conftest import OpenStorefront
from tests.concurrency.standing import (
    UNITS,
    Found,
    Stage,
    open_for,
    paid_at,
    refunds_at,
    take_reconcile_turn,
)
from tests.concurrency.steps import (
    HELD,
    SOLD,
    STEPS,
    Reach,
    Step,
    reserving,
    selling,
)
from tests.core.mailing import SENDER
from tests.emulator import EmulatorServer
from tests.factories import add_product, assert_invariants, eventually
from tests.smtp import MailServer

pytestmark = pytest.mark.slow

DATABASES = {"sqlite": (), "postgres": (pytest.mark.postgres,)}
# One of each kind; the others are the long run's.
DAILY = {
    ("sqlite", "the reservation is not committed"),
    ("postgres", "Stripe has made the page"),
    ("sqlite", "Stripe has closed the page"),
    ("postgres", "the sale is not committed"),
    ("postgres", "Stripe has made the refund"),
    ("sqlite", "the letter is not claimed"),
}
CASES = [
    pytest.param(
        name,
        step,
        id=f"{name}-{step}",
        marks=[*marks, *([] if (name, str(step)) in DAILY else [pytest.mark.long])],
    )
    for name, marks in DATABASES.items()
    for step in STEPS
]
# A letter whose sender was killed is taken by another after half a minute.
SETTLED_SECONDS = 90


@pytest.fixture
def stage(
    open_storefront: OpenStorefront, database: Database, stripe: EmulatorServer
) -> Iterator[Stage]:
    mug = add_product(database, stock_units=UNITS)
    accounts.set_owner(database, "owner@shop.example", "long enough", now=utcnow())
    take_reconcile_turn(database)
    with MailServer() as mail, ThreadPoolExecutor() as aside:
        storefront = open_storefront(
            RESERVATION_MINUTES="0.07",
            RECONCILE_INTERVAL_SECONDS="2",
            WEB_CONCURRENCY="1",
            SMTP_URL=f"smtp://127.0.0.1:{mail.port}",
            MAIL_FROM=SENDER,
        )
        stage = Stage(storefront, database, stripe, mail, aside, mug)
        yield stage
        stage.close()


@pytest.mark.parametrize(("database_url", "step"), CASES, indirect=["database_url"])
def test_killed_at_this_step_all_is_settled_after_a_restart(
    stage: Stage, step: Step
) -> None:
    step.reach(stage)

    stage.kill()
    assert stage.found() == step.found
    stage.let_go()
    stage.storefront.start()

    assert_all_is_settled(stage)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("reach", "found"),
    [
        pytest.param(reserving, HELD, id="reserved", marks=pytest.mark.long),
        pytest.param(selling, SOLD, id="sold"),
    ],
)
def test_what_is_committed_after_its_process_died_is_settled_too(
    stage: Stage, reach: Reach, found: Found
) -> None:
    """A server that was told to commit goes on, though nobody waits for it any more."""
    reach(stage)

    stage.kill()
    stage.let_commit()
    assert stage.found() == found
    stage.let_go()
    stage.storefront.start()

    assert_all_is_settled(stage)


def assert_all_is_settled(stage: Stage) -> None:
    """Wait until it is, then look whether everything is as it must be."""
    eventually(lambda: is_settled(stage), seconds=SETTLED_SECONDS)
    assert_each_payment_has_its_order_or_its_refund(stage)
    assert_stock_is_what_was_not_sold(stage.database)
    assert_each_letter_has_arrived_once(stage)
    assert_invariants(stage.database)


def is_settled(stage: Stage) -> bool:
    """Tell whether nothing is under way any more: here, at Stripe or in the outbox."""
    assert_what_can_be_paid_is_held(stage)
    found = stage.found()
    if found.pending or "open" in found.pages or REQUESTED in found.refunds:
        return False
    if stage.stripe.look("webhooks")["waiting"]:
        return False
    with stage.database.read() as session:
        letters = session.execute(select(Mail.key, Mail.status)).all()
    # One that its sender was killed at after the dot stays SENDING, and has arrived.
    arrived = stage.letters()
    return all(row.status != READY and row.key in arrived for row in letters)


def assert_what_can_be_paid_is_held(stage: Stage) -> None:
    """Check what is true all the time; a page is closed before its hold ends."""
    with stage.database.read() as session:
        held = session.scalars(select(Checkout.id).where(Checkout.status == PENDING))
        held_before = set(held)

    assert open_for(stage.stripe) <= held_before


def assert_each_payment_has_its_order_or_its_refund(stage: Stage) -> None:
    with stage.database.read() as session:
        sold = session.scalars(select(Order.stripe_session_id)).all()
        noted = session.scalars(select(Refund)).all()
    sent_back = refunds_at(stage.stripe)
    by_id = {each.stripe_refund_id: each.stripe_session_id for each in noted}

    assert {each["id"] for each in sent_back} == by_id.keys()
    assert sorted([*sold, *by_id.values()]) == sorted(paid_at(stage.stripe))


def assert_stock_is_what_was_not_sold(database: Database) -> None:
    with database.read() as session:
        sold = session.scalar(select(func.coalesce(func.sum(OrderLine.quantity), 0)))
        (product,) = session.scalars(select(Product)).all()

    assert (product.stock, product.reserved) == (UNITS - (sold or 0), 0)


def assert_each_letter_has_arrived_once(stage: Stage) -> None:
    with stage.database.read() as session:
        written = session.scalars(select(Mail.key)).all()
        orders = session.scalars(select(Order.id)).all()
        refunds = session.scalars(select(Refund.id)).all()
    due = {f"order-{each}" for each in orders} | {f"refund-{each}" for each in refunds}

    assert due <= set(written)
    assert Counter(stage.letters()) == Counter(written)
