"""The model check sees it when the shop is broken."""

from collections.abc import Callable

import pytest
from hypothesis.errors import FlakyFailure
from sqlalchemy import update

from core.checkout import closing, late_money, settlement
from core.checkout.closing import Ending
from core.checkout.late_money import Confirmation
from core.config import Config
from core.database.engine import Database
from core.errors import PaymentUnavailableError
from core.models.refunds import Refund
from core.refunds import refunds, sending
from core.shop import Shop
from core.stock import reservations
from core.stock.reservations import Closed
from tests.emulator import EmulatorServer
from tests.model.test_model import make_impatient, run

pytestmark = pytest.mark.slow

# As a rule the first round is enough.
ENOUGH = 90
Patch = Callable[[pytest.MonkeyPatch], None]


def late_money_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        late_money, "confirm_or_refund", lambda *_, **__: Confirmation.TOO_LATE
    )


def no_refund_is_requested(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(refunds, "request_automatic", lambda *_, **__: None)


def no_refund_is_sent(patch: pytest.MonkeyPatch) -> None:
    def note_as_done(shop: Shop, **_: object) -> int:
        shop.database.write(lambda s: s.execute(update(Refund).values(status="DONE")))
        return 0

    patch.setattr(sending, "send_refunds", note_as_done)


def units_go_back_though_stripe_is_silent(patch: pytest.MonkeyPatch) -> None:
    asked = closing.close

    def close(shop: Shop, checkout_id: int, closed: Closed) -> object:
        try:
            return asked(shop, checkout_id, closed)
        except PaymentUnavailableError:
            return closed

    patch.setattr(closing, "close", close)


def a_page_is_replaced_and_stays_open(patch: pytest.MonkeyPatch) -> None:
    asked = settlement.end

    def end(shop: Shop, checkout_id: int, closed: Closed) -> Ending:
        if closed.cause != "replaced by a new checkout":
            return asked(shop, checkout_id, closed)
        shop.database.write_single(
            lambda session: reservations.end(
                session, checkout_id, closed, now=shop.clock()
            )
        )
        return Ending.CLOSED

    patch.setattr(settlement, "end", end)


def is_seen(check: Callable[[], object]) -> bool:
    try:
        check()
    except AssertionError:
        return True
    except FlakyFailure as failure:
        # Threads made the sequence go otherwise when it was run again.
        return failure.subgroup(AssertionError) is not None
    return False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "break_it",
    [
        late_money_is_ignored,
        no_refund_is_requested,
        no_refund_is_sent,
        units_go_back_though_stripe_is_silent,
        a_page_is_replaced_and_stays_open,
    ],
    ids=lambda each: each.__name__,
)
def test_a_shop_that_is_broken_fails(
    config: Config,
    database: Database,
    stripe: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Patch,
) -> None:
    make_impatient(monkeypatch)
    break_it(monkeypatch)

    assert is_seen(lambda: run(config, database, stripe, sequences=ENOUGH))
