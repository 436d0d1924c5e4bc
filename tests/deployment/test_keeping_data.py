"""What a shop had before a migration, it has after it."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session

from core.checkout import late_money
from core.checkout.late_money import Confirmation
from core.database.engine import Database, connect
from core.errors import NotFoundError
from core.models.catalogue import Product
from core.models.checkout import EXPIRED, PENDING, Checkout, Reconciled
from core.models.mail import Mail
from core.models.records import TOO_LATE, StripeEvent
from core.models.refunds import Refund
from core.orders import orders
from core.payments.data import RefundReport
from core.refunds import progress, refunds, stripe_reports
from core.refunds import views as refund_views
from core.stock import reservations
from core.stock.reservations import Closed
from tests.deployment import past
from tests.deployment.past import LATER, MOMENT
from tests.factories import (
    add_product,
    ask,
    assert_invariants,
    orders_of,
    payment_of,
    reserved,
    status_of,
    to_dos_of,
)
from tests.own_databases import OwnDatabases

WHO = "owner@shop.example"
NOW = LATER + timedelta(hours=1)


class Migrated:
    """Gives copies of a migrated shop, which is made once of each kind."""

    def __init__(self, own: Callable[[], OwnDatabases], folder: Path) -> None:
        self._own, self._folder = own, folder
        self._made: dict[tuple[str, bool], str] = {}

    def copy(self, kind: str, *, is_empty: bool) -> str:
        made = self._made.get((kind, is_empty)) or self._make(kind, is_empty=is_empty)
        if kind == "postgres":
            return self._own().create_like(made)
        path = self._folder / f"{uuid.uuid4().hex}.db"
        path.write_bytes(Path(made).read_bytes())
        return f"sqlite:///{path}"

    def _make(self, kind: str, *, is_empty: bool) -> str:
        path = str(self._folder / f"{is_empty}.db")
        is_postgres = kind == "postgres"
        url = self._own().create_empty() if is_postgres else f"sqlite:///{path}"
        past.make(url, is_empty=is_empty)
        opened = connect(url)
        opened.migrate()
        if not is_postgres:
            with opened.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        opened.engine.dispose()
        self._made[kind, is_empty] = url if is_postgres else path
        return self._made[kind, is_empty]


@pytest.fixture(scope="session")
def a_migrated_shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Migrated:
    own = partial(request.getfixturevalue, "own_databases")
    return Migrated(own, tmp_path_factory.mktemp("migrated"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[False, True], ids=["at work", "empty"])
def any_past(
    request: pytest.FixtureRequest, kind: str, a_migrated_shop: Migrated
) -> Iterator[Database]:
    """Give a migrated shop that was at work before, and one that was empty."""
    opened = connect(a_migrated_shop.copy(kind, is_empty=request.param))
    yield opened
    opened.engine.dispose()


@pytest.fixture
def database(kind: str, a_migrated_shop: Migrated) -> Iterator[Database]:
    """Give a migrated shop that was at work before."""
    opened = connect(a_migrated_shop.copy(kind, is_empty=False))
    yield opened
    opened.engine.dispose()


def refund_in(database: Database, status: str) -> Refund:
    by_hand = [f"cs_{name}" for name in past.BY_HAND]
    query = select(Refund).where(
        Refund.status == status, Refund.stripe_session_id.not_in(by_hand)
    )
    return ask(database, lambda s: s.scalars(query).one())


def test_refunds_that_went_back_by_hand_are_kept_without_an_id(
    database: Database,
) -> None:
    keys = [f"refund-cs_{name}" for name in past.BY_HAND]
    query = select(Refund).where(Refund.idempotency_key.in_(keys))

    kept = ask(database, lambda s: s.scalars(query).all())

    assert [(each.status, each.stripe_refund_id) for each in kept] == [
        ("DONE", None),
        ("DONE", None),
    ]


def count(database: Database, model: type[Refund | Mail]) -> int:
    return ask(
        database, lambda s: s.scalars(select(func.count()).select_from(model)).one()
    )


def test_refunds_are_kept_with_the_keys_that_they_were_asked_for_under(
    database: Database,
) -> None:
    done, failed, requested = (
        refund_in(database, status) for status in ("DONE", "FAILED", "REQUESTED")
    )

    assert count(database, Refund) == 3 + len(past.BY_HAND)
    assert (done.stripe_refund_id, done.done_at, done.failed_at) == (
        "re_done",
        LATER,
        None,
    )
    assert (failed.stripe_refund_id, failed.done_at, failed.failed_at) == (
        None,
        None,
        LATER,
    )
    assert (requested.done_at, requested.failed_at) == (None, None)
    for refund in (done, failed, requested):
        assert refund.idempotency_key == f"refund-cs_{refund.status.lower()}"
        assert refund.payment_intent == f"pi_{refund.status.lower()}"
        assert (refund.cause, refund.order_id) == ("AUTOMATIC", None)
        assert (refund.amount_cents, refund.created_at) == (1250, MOMENT)


def test_an_order_is_kept_and_nothing_of_it_went_back(database: Database) -> None:
    (order,) = orders_of(database)

    assert (order.status, order.amount_cents, order.refunded_cents) == (
        "REVIEW",
        1000,
        0,
    )
    assert (order.discount_cents, order.shipping_cents, order.tax_cents) == (0, 0, 0)
    assert [(line.quantity, line.returned) for line in order.lines] == [(1, 0)]
    assert order.fulfilled_at is None
    assert_invariants(database)


def test_what_a_person_had_to_look_at_has_an_entry_and_nobody_is_mailed_of_it(
    database: Database,
) -> None:
    entries = to_dos_of(database)

    assert {(entry.kind, entry.stripe_id, entry.amount_cents) for entry in entries} == {
        ("AMOUNT", "cs_review", 1000),
        ("REFUND_FAILED", "", 1250),
    }
    assert {entry.payment_intent for entry in entries} == {"pi_review", "pi_failed"}
    assert {entry.created_at for entry in entries} == {MOMENT}
    assert count(database, Mail) == 0


def test_an_entry_is_not_made_again_for_what_had_failed_before(
    database: Database,
) -> None:
    failed = refund_in(database, "FAILED").id

    again = database.write(lambda s: progress.fail(s, failed, failure="x", now=NOW))

    assert again is False
    assert len(to_dos_of(database)) == 2


def test_two_events_about_one_session_are_both_kept(database: Database) -> None:
    events = ask(
        database,
        lambda s: s.scalars(select(StripeEvent).order_by(StripeEvent.id)).all(),
    )

    assert [(event.id, event.object_id, event.outcome) for event in events] == [
        ("evt_1", "cs_review", "PAID"),
        ("evt_2", "cs_review", "PAID"),
    ]


def test_new_refunds_have_numbers_of_their_own(any_past: Database) -> None:
    before = count(any_past, Refund)
    mug = add_product(any_past)

    def work(session: Session, name: str, checkout_id: int) -> None:
        refunds.request_automatic(
            session, checkout_id, payment_of(name), kind=TOO_LATE, now=NOW
        )

    for name in ("cs_new_1", "cs_new_2"):
        checkout_id = reserved(any_past, {mug: 1}, NOW)
        any_past.write(lambda s, n=name, c=checkout_id: work(s, n, c))  # type: ignore[misc]  # defaults bind them

    numbers = [refund.id for refund in ask(any_past, refund_views.refunds)]
    assert len(numbers) == before + 2
    assert numbers == sorted(set(numbers), reverse=True)
    # The owner is told of each; the customer is when Stripe has taken it.
    assert count(any_past, Mail) == 2


def test_a_refund_that_had_failed_can_be_tried_again_once(database: Database) -> None:
    failed = refund_in(database, "FAILED").id

    again = database.write(lambda s: refunds.request_again(s, failed, who=WHO, now=NOW))
    with pytest.raises(NotFoundError):
        database.write(lambda s: refunds.request_again(s, failed, who=WHO, now=NOW))

    tried = ask(database, lambda s: s.get_one(Refund, again))
    assert (tried.status, tried.payment_intent) == ("REQUESTED", "pi_failed")


def test_a_refund_that_was_under_way_is_found_again_in_what_stripe_says(
    database: Database,
) -> None:
    requested = refund_in(database, "REQUESTED").id
    report = RefundReport("re_7", "pi_requested", 1250, "eur", "succeeded", "", "")

    told = database.write(lambda s: stripe_reports.take_report(s, report, now=NOW))

    assert told
    after = ask(database, lambda s: s.get_one(Refund, requested))
    assert (after.status, after.stripe_refund_id) == ("DONE", "re_7")


def test_an_order_from_before_can_be_accepted_refunded_and_its_units_taken_back(
    database: Database,
) -> None:
    (order,) = orders_of(database)
    (line,) = order.lines

    def work(session: Session) -> None:
        assert orders.accept(session, order.number, who=WHO, now=NOW)
        refunds.request_by_owner(session, order.number, 1000, who=WHO, now=NOW)
        orders.return_units(
            session, order.number, {line.product_id: 1}, who=WHO, now=NOW
        )

    database.write(work)

    (after,) = orders_of(database)
    assert (after.status, after.refunded_cents) == ("REFUNDED", 1000)
    assert_invariants(database)


@pytest.mark.parametrize("ending", ["paid", "expired"])
def test_a_hold_from_before_ends_like_any_other(
    database: Database, ending: str
) -> None:
    held = select(Checkout.id).where(Checkout.status == PENDING)
    checkout_id = ask(database, lambda s: s.scalars(held).one())

    def work(session: Session) -> object:
        if ending == "expired":
            return reservations.end(
                session, checkout_id, Closed(EXPIRED, "over"), now=NOW
            )
        payment = payment_of("cs_open", intent="pi_open")
        return late_money.confirm_or_retake(session, checkout_id, payment, now=NOW)

    became = database.write(work)

    assert became in (True, Confirmation.CONFIRMED)
    assert status_of(database, checkout_id) == (
        "EXPIRED" if ending == "expired" else "CONFIRMED"
    )
    assert_invariants(database)


def test_how_far_the_shop_was_reconciled_is_kept(empty_url: str) -> None:
    past.make_reconciled(empty_url)
    database = connect(empty_url)

    database.migrate()

    row = ask(database, lambda s: s.scalars(select(Reconciled)).one())
    assert (row.until, row.looked_back_at, row.look_on_after, row.taken_until) == (
        MOMENT,
        MOMENT,
        "cs_7",
        LATER,
    )
    columns = inspect(database.engine).get_columns("reconciled")
    assert "finished_at" not in {column["name"] for column in columns}
    database.engine.dispose()


def test_migrating_again_changes_nothing(database: Database) -> None:
    before = ask(database, refund_views.refunds), to_dos_of(database)

    database.migrate()

    assert (ask(database, refund_views.refunds), to_dos_of(database)) == before


def test_only_a_rate_that_was_set_by_hand_counts_as_chosen(database: Database) -> None:
    query = select(Product.name, Product.vat_bp, Product.chosen_vat_bp)

    kept = ask(database, lambda s: s.execute(query.order_by(Product.id)).all())

    assert [tuple(row) for row in kept] == [("Mug", 2100, None), ("Book", 900, 900)]
