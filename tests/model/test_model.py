"""
A model check: random sequences of all that may happen, and what must be true.

Customers, the owner, Stripe, its messages, time, faults and deaths are moved in every
order that Hypothesis can think of, on the real shop, the real database and the emulator
over HTTP. `./run.sh test --long` makes six times as many as each day, and
`MODEL_SEQUENCES=2000 ./run.sh test tests/model` makes other sequences each time; what
fails there is kept in `test_found.py`.
"""

import os
import secrets

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from core.config import Config
from core.database.engine import Database
from core.payments import retry
from core.payments.retry import Retries
from tests.emulator import EmulatorServer
from tests.model import invariants
from tests.model.together import Together

pytestmark = pytest.mark.slow

SEQUENCES = int(os.environ.get("MODEL_SEQUENCES", "0"))
STEPS = 30
# Hypothesis begins a longer run with tiny sequences, and after ten it makes most by
# changing earlier ones: good for an input, poor for going far. So it begins anew.
ROUND = 9
ROUNDS = 6

# To make a failing sequence shorter takes minutes; MODEL_SHRINK=yes does it.
PHASES = [Phase.explicit, Phase.generate]
if os.environ.get("MODEL_SHRINK"):
    PHASES.append(Phase.shrink)


class ShopAndStripe(Together):
    """One sequence, what must be true after each of its steps, and in the end."""

    ended = 0

    @invariant()
    def everything_is_as_it_must_be(self) -> None:
        if hasattr(self, "world"):
            invariants.hold_always(self.world)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.come_up()
                self.world.let_all_end()
                invariants.hold_always(self.world)
                invariants.hold_in_the_end(self.world)
                type(self).ended += 1
            finally:
                self.world.http.close()


def make_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package try again at once: how often it does stays the same."""
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("core.payments.gateway.CREATE", Retries(2, (0.001, 0.001)))
    monkeypatch.setattr("core.payments.pace.BUSY_PAUSES", (0.001, 0.001))
    monkeypatch.setattr("core.payments.pace.CALLS_PER_SECOND", 10_000)


def test_no_sequence_loses_a_payment_or_sells_what_is_not_there(
    config: Config,
    database: Database,
    stripe: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_impatient(monkeypatch)

    ended = run(config, database, stripe, sequences=SEQUENCES or ROUND)

    assert ended >= (SEQUENCES or ROUND)


@pytest.mark.long
@pytest.mark.skipif(bool(SEQUENCES), reason="MODEL_SEQUENCES are made above")
def test_no_sequence_of_many_does(
    config: Config,
    database: Database,
    stripe: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_impatient(monkeypatch)

    ended = run(config, database, stripe, sequences=ROUNDS * ROUND, after=1)

    assert ended >= (ROUNDS - 1) * ROUND


def run(
    config: Config,
    database: Database,
    stripe: EmulatorServer,
    *,
    sequences: int,
    after: int = 0,
) -> int:
    """
    Run *sequences* in rounds, without those *after* which it begins.

    It ends when one fails. Returns how many came to their end.
    """
    stripe.control("webhooks/endpoint", url=None)

    class Sequence(ShopAndStripe):
        pass

    Sequence.config, Sequence.base, Sequence.server = config, database, stripe
    for number in range(after, -(-sequences // ROUND)):
        # The same sequences each time, or others in a long run.
        chosen = secrets.randbits(64) if SEQUENCES else number
        run_state_machine_as_test(
            seed(chosen)(Sequence),
            settings=settings(
                max_examples=ROUND,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
                phases=PHASES,
            ),
        )
    return Sequence.ended
