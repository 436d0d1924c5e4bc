"""Sequences that the model check has found, and that went wrong once."""

from collections.abc import Iterator

import pytest

from core.config import Config
from core.database.engine import Database
from tests.emulator import EmulatorServer
from tests.model import invariants
from tests.model.test_model import ShopAndStripe, make_impatient
from tests.model.world import Stumble

pytestmark = pytest.mark.slow


@pytest.fixture
def sequence(
    config: Config,
    database: Database,
    stripe: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ShopAndStripe]:
    """Give a world to take steps in; in the end all must be as it must be."""
    make_impatient(monkeypatch)
    stripe.control("webhooks/endpoint", url=None)

    class Sequence(ShopAndStripe):
        pass

    Sequence.config, Sequence.base, Sequence.server = config, database, stripe
    machine = Sequence()
    machine.begin(allowed=False, carts=[])
    yield machine
    invariants.hold_always(machine.world)
    machine.teardown()


def test_a_refusal_of_the_second_try_proves_no_page_away(
    sequence: ShopAndStripe,
) -> None:
    sequence.check_out_while_stripe_stumbles(
        cart={0: 1, 1: 1},
        stumble=Stumble("create", ("drop_after", 500), times=9),
        visitor=1,
    )

    sequence.check_out_while_stripe_stumbles(
        cart={0: 1}, stumble=Stumble("create", ("status", 402), times=1), visitor=1
    )


def test_a_delayed_payment_that_failed_without_a_message_gives_its_units_back(
    sequence: ShopAndStripe,
) -> None:
    sequence.restart_with_other_settings(allowed=True)
    sequence.check_out(cart={1: 1, 0: 2}, visitor=1)
    sequence.pay(method="sepa_debit", number=0)

    sequence.deliver_all_messages_backwards()


def test_a_delayed_payment_that_comes_after_its_limit_is_not_lost(
    sequence: ShopAndStripe,
) -> None:
    sequence.restart_with_other_settings(allowed=True)
    sequence.check_out(cart={0: 1}, visitor=0)
    sequence.pay(method="sepa_debit", number=0)
    sequence.deliver_all_messages_backwards()
    sequence.let_time_pass(minutes=60 * 24 * 15)
    sequence.sweep()
    sequence.reconcile()
    sequence.let_time_pass(minutes=60 * 25)
    sequence.sweep()
    sequence.reconcile()

    sequence.settle_a_delayed_payment(number=0, outcome="succeed")


def test_a_refund_that_had_failed_before_it_was_heard_of_needs_no_letter(
    sequence: ShopAndStripe,
) -> None:
    sequence.check_out(cart={0: 1}, visitor=0)
    sequence.pay(method="card", number=0)
    sequence.reconcile()
    sequence.make_the_next_refund_come_back_as(status="failed")

    sequence.refund_at_stripe(number=0, cents=500)
