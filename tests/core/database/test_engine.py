import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, event, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import Session

from core.checkout import late_money
from core.database import engine, schema
from core.database.engine import Database, connect
from core.errors import BusyError
from core.models.catalogue import Product
from core.models.every import METADATA, TABLES
from core.models.records import PAID_TWICE
from core.refunds import refunds
from tests.factories import add_product, at_once, levels, payment_of, reserved
from tests.programs import run_together

MOMENT = datetime.fromisoformat("2026-11-22T12:00:00+00:00")


def rename(product_id: int, name: str) -> Callable[[Session], object]:
    return lambda session: session.execute(
        update(Product).where(Product.id == product_id).values(name=name)
    )


def name_of(database: Database, product_id: int) -> str:
    with database.read() as session:
        return session.get_one(Product, product_id).name


@pytest.fixture
def empty_url(database_url: str) -> str:
    """Give the address of a database without a single table."""
    database = connect(database_url)
    if database.is_sqlite:
        path = Path(str(database.engine.url.database))
        path.unlink()
    else:
        with database.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    database.engine.dispose()
    return database_url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    opened = connect(empty_url)
    yield opened
    opened.engine.dispose()


@contextmanager
def written_elsewhere(database: Database) -> Iterator[None]:
    """Hold SQLite's one write turn, as another process would."""
    other = connect(str(database.engine.url))
    with other.engine.execution_options(begin="BEGIN IMMEDIATE").begin():
        yield
    other.engine.dispose()


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    opened = connect(sqlite_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def postgresql(postgres_url: str) -> Iterator[Database]:
    opened = connect(postgres_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def impatient(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Give a SQLite shop that waits a hundredth of a second for its turn."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 10)
    opened = connect(sqlite_url)
    yield opened
    opened.engine.dispose()


def test_migrating_an_empty_database_makes_the_schema(empty: Database) -> None:
    before = empty.is_migrated()
    empty.migrate()

    assert not before
    assert empty.is_migrated()
    assert {*METADATA.tables} <= {*inspect(empty.engine).get_table_names()}


def test_migrating_again_changes_nothing(database: Database) -> None:
    mug = add_product(database, stock_units=3)

    database.migrate()

    assert database.is_migrated()
    assert levels(database, mug) == (3, 0)


@pytest.mark.slow
def test_processes_that_migrate_at_once_all_find_the_schema(
    empty: Database, empty_url: str
) -> None:
    run_together(
        "from core.database.engine import connect",
        "connect(sys.argv[1]).migrate()",
        empty_url,
        count=2,
    )

    assert empty.is_migrated()


def test_the_models_are_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "render_as_batch": True}
        )
        differences = compare_metadata(context, METADATA)

    assert differences == []


def test_every_check_of_the_models_is_in_the_database(database: Database) -> None:
    def checks(table: str) -> set[str]:
        return {
            str(check["name"])
            for check in inspect(database.engine).get_check_constraints(table)
        }

    expected = {
        table.name: {
            str(constraint.name)
            for constraint in table.constraints
            if isinstance(constraint, CheckConstraint)
        }
        for table in TABLES
    }

    assert {name: checks(name) for name in expected} == expected


def test_a_migration_of_the_wrong_schema_is_noticed(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    assert not database.is_migrated()


def test_work_that_raises_leaves_nothing_behind(database: Database) -> None:
    mug = add_product(database, name="Mug")

    def work(session: Session) -> None:
        rename(mug, "Broken mug")(session)
        raise KeyError("midway")

    with pytest.raises(KeyError):
        database.write(work)

    assert name_of(database, mug) == "Mug"


def test_work_gives_back_its_answer_after_the_commit(database: Database) -> None:
    mug = add_product(database)

    answer = database.write(
        lambda session: session.scalar(
            update(Product).values(name="Cup").returning(Product.id)
        )
    )

    assert answer == mug
    assert name_of(database, mug) == "Cup"


def test_a_session_that_reads_refuses_to_write(database: Database) -> None:
    mug = add_product(database, name="Mug")

    with database.read() as session, pytest.raises(TypeError):
        rename(mug, "Cup")(session)
    with database.read() as session:
        session.get_one(Product, mug).name = "Cup"
        with pytest.raises(TypeError):
            session.flush()

    assert name_of(database, mug) == "Mug"


def test_another_error_of_the_database_is_not_tried_again(database: Database) -> None:
    attempts: list[int] = []

    def work(session: Session) -> None:
        attempts.append(1)
        session.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises(Exception, match="no_such_table"):
        database.write(work)

    assert len(attempts) == 1


def test_a_busy_sqlite_is_told_plainly_and_changes_nothing(impatient: Database) -> None:
    mug = add_product(impatient, name="Mug")

    with written_elsewhere(impatient), pytest.raises(BusyError):
        impatient.write(rename(mug, "Cup"))

    assert name_of(impatient, mug) == "Mug"


def test_a_busy_sqlite_is_tried_again(
    impatient: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ATTEMPTS", 1000)
    mug = add_product(impatient, name="Mug")
    tries: list[object] = []
    tried_again = threading.Event()

    @event.listens_for(impatient.engine, "checkout")
    def notice(*connection: object) -> None:
        tries.append(connection)
        if len(tries) == 2:
            tried_again.set()

    with written_elsewhere(impatient):
        writer = threading.Thread(
            target=lambda: impatient.write(rename(mug, "Cup")), daemon=True
        )
        writer.start()
        assert tried_again.wait(20)
    writer.join(20)

    assert name_of(impatient, mug) == "Cup"


def test_reading_goes_on_while_another_writes(impatient: Database) -> None:
    mug = add_product(impatient, name="Mug")

    with written_elsewhere(impatient):
        assert name_of(impatient, mug) == "Mug"


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)],
)
def test_sqlite_keeps_what_was_committed_through_a_power_cut(
    sqlite: Database, pragma: str, value: object
) -> None:
    with sqlite.engine.connect() as connection:
        found = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    assert found == value


def test_a_write_on_sqlite_takes_its_turn_before_it_reads(impatient: Database) -> None:
    other = connect(str(impatient.engine.url))

    def work(session: Session) -> None:
        session.scalar(select(Product.id))
        with (
            pytest.raises(OperationalError, match="locked"),
            other.engine.execution_options(begin="BEGIN IMMEDIATE").begin(),
        ):
            pass

    impatient.write(work)
    other.engine.dispose()


@pytest.mark.postgres
def test_of_a_deadlock_both_end(postgresql: Database) -> None:
    mug, cup = add_product(postgresql), add_product(postgresql)
    meeting = threading.Barrier(2)
    attempts: list[int] = []

    def both(first: int, second: int) -> Callable[[Session], object]:
        def work(session: Session) -> None:
            attempts.append(first)
            is_first_try = len(attempts) <= 2
            rename(first, f"by {first}")(session)
            if is_first_try:
                meeting.wait(20)
            rename(second, f"by {first}")(session)

        return work

    outcomes = at_once(
        [
            lambda: postgresql.write(both(mug, cup)),
            lambda: postgresql.write(both(cup, mug)),
        ]
    )

    assert outcomes == [None, None]
    assert len(attempts) == 3
    assert name_of(postgresql, mug) == name_of(postgresql, cup)


@pytest.mark.postgres
def test_a_deadlock_that_never_ends_is_told_plainly(postgresql: Database) -> None:
    def work(session: Session) -> None:
        session.execute(
            text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
        )

    with pytest.raises(BusyError):
        postgresql.write(work)


def sold_and_refunded(database: Database) -> None:
    """Put one right row into every table that has a CHECK."""
    mug = add_product(database, stock_units=5)
    checkout_id = reserved(database, {mug: 2}, MOMENT)
    payment = payment_of(cents=2500)

    def work(session: Session) -> None:
        late_money.confirm_or_retake(session, checkout_id, payment, now=MOMENT)
        refunds.request_automatic(
            session, checkout_id, payment, kind=PAID_TWICE, now=MOMENT
        )

    database.write(work)


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE product SET stock = -1",
        "UPDATE product SET reserved = -1",
        "UPDATE product SET reserved = stock + 1",
        "UPDATE product SET price_cents = -1",
        "UPDATE product SET vat_bp = -1",
        "UPDATE product SET vat_bp = 10001",
        "UPDATE checkout SET status = 'PAID'",
        "UPDATE stock_reservation SET status = 'pending'",
        "UPDATE stock_reservation SET quantity = 0",
        "UPDATE stock_reservation SET quantity = -1",
        "UPDATE stock_reservation SET product_id = 999",
        "UPDATE stock_reservation SET checkout_id = 999",
        "UPDATE orders SET status = 'SENT'",
        "UPDATE orders SET checkout_id = 999",
        "UPDATE order_line SET quantity = 0",
        "UPDATE order_line SET product_id = 999",
        "UPDATE stock_movement SET quantity = 0",
        "UPDATE stock_movement SET reason = 'stolen'",
        "UPDATE stock_movement SET product_id = 999",
        "UPDATE refund SET status = 'PAID'",
        "UPDATE refund SET cause = 'NONE'",
        "UPDATE refund SET amount_cents = 0",
        "UPDATE refund SET checkout_id = 999",
        "UPDATE orders SET refunded_cents = -1",
        "UPDATE orders SET refunded_cents = amount_cents + 1",
        "UPDATE order_line SET returned = -1",
        "UPDATE order_line SET returned = quantity + 1",
        "UPDATE to_do SET kind = 'OTHER'",
        "UPDATE to_do SET checkout_id = 999",
        "UPDATE mail SET kind = 'OTHER'",
        "UPDATE mail SET status = 'DONE'",
        "UPDATE mail SET to_do_id = 999",
        "UPDATE product SET name = NULL",
        "UPDATE orders SET stripe_session_id = NULL",
    ],
)
def test_a_row_that_cannot_be_is_refused_by_the_database(
    database: Database, wrong: str
) -> None:
    sold_and_refunded(database)

    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(text(wrong))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("checkout", "idempotency_key"),
        ("checkout", "stripe_session_id"),
        ("orders", "stripe_session_id"),
        ("orders", "checkout_id"),
        ("orders", "token"),
        ("refund", "idempotency_key"),
        ("refund", "stripe_refund_id"),
        ("dispute", "stripe_dispute_id"),
        ("offer", "content"),
        ("to_do", "key"),
        ("mail", "key"),
        ("product", "slug"),
    ],
)
def test_what_names_one_thing_cannot_name_two(
    database: Database, table: str, column: str
) -> None:
    (unique,) = (
        constraint
        for constraint in inspect(database.engine).get_unique_constraints(table)
        if constraint["column_names"] == [column]
    )

    assert unique["name"] == f"uq_{table}_{column}"


def test_times_come_back_as_they_were(database: Database) -> None:
    summer = datetime.fromisoformat("2026-07-01T14:30:00.123456+02:00")
    mug = add_product(database, now=summer)

    with database.read() as session:
        created_at = session.get_one(Product, mug).created_at

    assert created_at == summer
    assert created_at.tzinfo is UTC


def test_a_time_without_a_time_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="without a time zone"):
        add_product(database, now=MOMENT.replace(tzinfo=None))


def test_the_newest_revision_is_the_one_that_alembic_would_upgrade_to() -> None:
    scripts = ScriptDirectory.from_config(schema.alembic_config())

    assert schema.newest_revision() == scripts.get_current_head()
