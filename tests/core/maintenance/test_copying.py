from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from core.catalogue import importing
from core.database.engine import Database, connect
from core.errors import CopyError
from core.maintenance import copying
from core.maintenance.copying import Copied
from core.models.catalogue import VatSetting
from core.models.checkout import EXPIRED, PENDING, Checkout, Reconciled, StoredOffer
from core.models.every import TABLES
from core.models.limits import SHARE, CheckoutTry, RefusedCheckout
from core.models.orders import FULFILLED, Order
from core.models.records import TOO_LATE, StripeEvent
from core.models.refunds import Dispute
from core.orders import sales
from core.owner import accounts
from core.payments.data import Payment
from core.refunds import refunds
from core.stock import reservations
from core.stock.reservations import Closed
from tests.factories import (
    add_product,
    assert_invariants,
    at_once,
    change,
    payment_of,
    reserved,
    sold,
)

BIG = 2**31 - 1
ODD_NAME = "Tasse „Größe 1“\n'; -- \\ \N{SNOWMAN} \N{HOT BEVERAGE}"


@dataclass(frozen=True)
class Move:
    """A shop, and the address of the empty database that it is to go to."""

    source: Database
    target: Database

    def make(self, told: copying.Progress = lambda *_: None) -> Copied:
        return copying.copy(self.source, self.target, told=told)


def without_tables(database: Database) -> Database:
    """Take away the schema that a test's database comes with."""
    if database.is_sqlite:
        database.engine.dispose()
        Path(str(database.engine.url.database)).unlink()
    else:
        with database.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    return database


@pytest.fixture(
    params=["sqlite to postgres", "postgres to sqlite"], ids=lambda way: way
)
def migrated(
    request: pytest.FixtureRequest, sqlite_url: str, postgres_url: str
) -> Iterator[Move]:
    """Give an empty shop on one kind of database, and an empty one on the other."""
    urls = [sqlite_url, postgres_url]
    if request.param == "postgres to sqlite":
        urls.reverse()
    source, target = map(connect, urls)
    yield Move(source, target)
    source.engine.dispose()
    target.engine.dispose()


@pytest.fixture
def move(migrated: Move) -> Move:
    without_tables(migrated.target)
    return migrated


def payment(number: int, cents: int = 1250) -> Payment:
    return payment_of(
        f"cs_{number}",
        cents=cents,
        name=ODD_NAME,
        email="a@b.nl",
        intent=f"pi_{number}",
    )


def stock_up(database: Database, now: datetime) -> int:
    """Put every kind of row that there is into a shop; return a product's id."""
    odd = now.replace(microsecond=123456)
    mug = add_product(database, stock_units=40, name=ODD_NAME, now=odd)
    change(database, mug, imported_quantity=0, description=ODD_NAME)
    add_product(database, stock_units=BIG, price_cents=BIG)
    change(database, add_product(database, stock_units=0), is_listed=False)
    sold(database, {mug: 1}, odd - timedelta(days=3), session_id="cs_old")
    sales.roll_up(database, now=odd)
    sold(database, {mug: 1}, odd, session_id="cs_review", cents=2**40)
    gone = reserved(database, {mug: 2}, odd)
    waiting = reserved(database, {mug: 3}, odd)
    reserved(database, {mug: 4}, odd + timedelta(days=1))
    event = {"type": "x", "object_id": "cs", "effect": "x", "outcome": ""}
    rest = [
        StripeEvent(id="evt_Z", received_at=odd, **event),
        StoredOffer(content=ODD_NAME, created_at=odd),
        VatSetting(default_bp=900, is_exempt=True),
        Reconciled(id=1, until=odd, looked_back_at=odd, taken_until=odd),
        CheckoutTry(network="192.0.2.1/32", minute=odd, tries=1),
        RefusedCheckout(
            network="192.0.2.1/32", hour=odd, reason=SHARE, times=1, last_at=odd
        ),
        Dispute(
            stripe_dispute_id="dp_1",
            payment_intent="pi_1",
            checkout_id=gone,
            amount_cents=2**40,
            currency="eur",
            status="needs_response",
            due_by=odd,
            created_at=odd,
            updated_at=odd,
        ),
    ]

    def work(session: Session) -> None:
        reservations.end(session, gone, Closed(EXPIRED, "time"), now=odd)
        reservations.prolong(session, waiting, odd + timedelta(days=9), now=odd)
        for paid in (payment(1), payment(2, 2**40)):
            refunds.request_automatic(session, gone, paid, kind=TOO_LATE, now=odd)
        session.add_all(rest)

    database.write(work)
    accounts.set_owner(database, "ben@shop.example", "long enough", now=odd)
    return mug


def everything(database: Database) -> dict[str, list[Any]]:
    """Return every row of every table."""
    with database.read() as session:
        return {
            table.name: [
                tuple(row)
                for row in session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in TABLES
        }


def rows_in(database: Database) -> int:
    return sum(map(len, everything(database).values()))


def interfere(
    target: Database,
    table: str,
    *,
    on_sqlite: str,
    otherwise: str,
    moment: str = "BEFORE",
) -> None:
    """Let *table* do something else with every row that comes in."""
    begins = f"CREATE TRIGGER t BEFORE INSERT ON {table}"
    statements = [f"CREATE TRIGGER t {moment} INSERT ON {table} BEGIN {on_sqlite}; END"]
    if not target.is_sqlite:
        statements = [
            f"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql"
            f" AS $$ BEGIN {otherwise}; END $$",
            f"{begins} FOR EACH ROW EXECUTE FUNCTION t()",
        ]
    with target.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def refuse_rows(target: Database, table: str) -> None:
    interfere(
        target,
        table,
        on_sqlite="SELECT RAISE(ABORT, 'no more')",
        otherwise="RAISE 'no more'",
    )


def lose_rows(target: Database, table: str) -> None:
    interfere(target, table, on_sqlite="SELECT RAISE(IGNORE)", otherwise="RETURN NULL")


def change_rows(target: Database, table: str, column: str, value: str) -> None:
    interfere(
        target,
        table,
        on_sqlite=f"UPDATE {table} SET {column} = {value} WHERE id = NEW.id",  # noqa: S608 (the test's own)
        otherwise=f"NEW.{column} := {value}; RETURN NEW",
        moment="AFTER",  # only then can SQLite change it; PostgreSQL does it before
    )


@pytest.mark.postgres
def test_a_shop_arrives_row_by_row_as_it_was(
    move: Move, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "BATCH", 2)
    stock_up(move.source, now)

    copied = move.make()

    there = everything(move.target)
    assert there == everything(move.source)
    assert copied.agrees
    assert copied.target.rows == {name: len(rows) for name, rows in there.items()}
    assert [name for name, count in copied.target.rows.items() if not count] == []
    assert move.target.is_migrated()
    assert_invariants(move.target)


@pytest.mark.postgres
def test_the_shop_goes_on_where_it_was_copied_to(move: Move, now: datetime) -> None:
    mug = stock_up(move.source, now)
    move.make()
    newest = {name: rows[-1][0] for name, rows in everything(move.source).items()}

    sold(move.target, {mug: 1}, now, session_id="cs_new")
    add_product(move.target)

    last = {name: rows[-1][0] for name, rows in everything(move.target).items()}
    numbered = ["product", "checkout", "stock_reservation", "orders", "order_line"]
    assert [last[name] for name in numbered] == [newest[name] + 1 for name in numbered]
    assert_invariants(move.target)


@pytest.mark.postgres
def test_an_empty_shop_is_copied_and_begins_with_number_1(move: Move) -> None:
    copied = move.make()

    assert copied.agrees
    assert add_product(move.target) == 1


@pytest.mark.postgres
def test_an_empty_database_that_was_migrated_before_will_do(
    migrated: Move, now: datetime
) -> None:
    stock_up(migrated.source, now)

    migrated.make()

    assert everything(migrated.target) == everything(migrated.source)


@pytest.mark.postgres
def test_a_target_that_is_not_empty_is_left_as_it_is(
    migrated: Move, now: datetime
) -> None:
    stock_up(migrated.source, now)
    owner = ("ben@shop.example", "long enough")
    accounts.set_owner(migrated.target, *owner, now=now)
    before = everything(migrated.target)

    with pytest.raises(CopyError, match=r"not empty.*owner"):
        migrated.make()

    assert everything(migrated.target) == before


@pytest.mark.postgres
def test_a_target_with_another_schema_is_left_as_it_is(
    migrated: Move, now: datetime
) -> None:
    stock_up(migrated.source, now)
    with migrated.target.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(CopyError, match="this version's schema"):
        migrated.make()

    assert rows_in(migrated.target) == 0


@pytest.mark.postgres
def test_somebody_elses_tables_are_no_target(move: Move, now: datetime) -> None:
    stock_up(move.source, now)
    with move.target.engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))

    with pytest.raises(CopyError, match="this version's schema"):
        move.make()

    assert inspect(move.target.engine).get_table_names() == ["orders"]


@pytest.mark.postgres
def test_an_error_in_the_middle_leaves_the_target_empty(
    migrated: Move, now: datetime
) -> None:
    stock_up(migrated.source, now)
    before = everything(migrated.source)
    refuse_rows(migrated.target, "order_line")

    with pytest.raises(CopyError, match="nothing was copied: order_line: no more"):
        migrated.make()

    assert rows_in(migrated.target) == 0
    assert everything(migrated.source) == before


@pytest.mark.postgres
def test_a_copy_that_differs_is_not_kept(migrated: Move, now: datetime) -> None:
    stock_up(migrated.source, now)
    lose_rows(migrated.target, "order_line")

    copied = migrated.make()

    assert not copied.agrees
    assert copied.differing == ["order_line"]
    assert (copied.source.rows["order_line"], copied.target.rows["order_line"]) == (
        2,
        0,
    )
    assert rows_in(migrated.target) == 0


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("order_line", "unit_price_cents", "1"),
        ("orders", "status", "'FULFILLED'"),
        ("orders", "was_late", "true"),
        ("orders", "payment_intent", "NULL"),
        ("checkout", "closed_at", "'2001-01-01 00:00:00.000000'"),
        ("product", "name", "'A name'"),
    ],
)
def test_a_copy_with_as_many_rows_that_are_not_the_same_is_not_kept(
    migrated: Move, now: datetime, table: str, column: str, value: str
) -> None:
    stock_up(migrated.source, now)
    change_rows(migrated.target, table, column, value)

    copied = migrated.make()

    assert copied.source.rows == copied.target.rows
    assert copied.differing == [table]
    assert not copied.agrees
    assert rows_in(migrated.target) == 0


@pytest.mark.postgres
def test_a_text_that_postgresql_does_not_take_is_told_with_its_table(
    sqlite_url: str, postgres_url: str, now: datetime
) -> None:
    move = Move(connect(sqlite_url), connect(postgres_url))
    mug = stock_up(move.source, now)
    change(move.source, mug, vendor="a\0b")

    with pytest.raises(CopyError, match=r"product: .*NUL") as refused:
        move.make()

    assert len(str(refused.value).splitlines()) == 1
    assert rows_in(move.target) == 0
    move.source.engine.dispose()
    move.target.engine.dispose()


@pytest.mark.postgres
def test_drift_is_copied_and_told_on_both_sides(move: Move, now: datetime) -> None:
    mug = stock_up(move.source, now)
    change(move.source, mug, stock=30)

    copied = move.make()

    assert copied.agrees
    assert copied.source.findings == copied.target.findings
    assert [finding.kind for finding in copied.target.findings] == ["stock"]


def sell(database: Database, product_id: int, now: datetime) -> None:
    sold(database, {product_id: 1}, now, session_id="cs_meanwhile")


def change_one_status(database: Database, _product_id: int, _now: datetime) -> None:
    def work(session: Session) -> None:
        (order, _) = session.scalars(select(Order).order_by(Order.id))
        order.status = FULFILLED

    database.write(work)


def prolong_a_hold(database: Database, _product_id: int, now: datetime) -> None:
    def work(session: Session) -> None:
        held = select(Checkout.id).where(Checkout.status == PENDING)
        newest = session.scalars(held.order_by(Checkout.id.desc())).first()
        assert newest is not None
        assert reservations.prolong(session, newest, now + timedelta(days=2), now=now)

    database.write(work)


def import_a_file(database: Database, _product_id: int, now: datetime) -> None:
    """Import as an owner does who would not wait: for a lock of the copy, say."""
    content = b"Handle,Title,Variant Price,Variant Inventory Qty\npot,Pot,5.00,3\n"

    def work(session: Session) -> None:
        if not database.is_sqlite:
            session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        assert importing.import_products(session, content, now=now).created == 1

    database.write(work)


@pytest.mark.postgres
@pytest.mark.parametrize(
    "work", [sell, change_one_status, prolong_a_hold, import_a_file]
)
def test_a_shop_that_is_at_work_meanwhile_is_not_copied(
    migrated: Move, now: datetime, work: Callable[[Database, int, datetime], None]
) -> None:
    mug = stock_up(migrated.source, now)
    calls: list[str] = []

    def interrupt(table: str, _done: int, _total: int) -> None:
        calls.append(table)
        if len(calls) == 1:
            work(migrated.source, mug, now)

    with pytest.raises(CopyError, match="at work meanwhile; stop it"):
        migrated.make(interrupt)

    assert rows_in(migrated.target) == 0
    assert_invariants(migrated.source)


@pytest.mark.postgres
def test_a_shop_that_was_stopped_after_all_is_copied_to_the_same_place(
    migrated: Move, now: datetime
) -> None:
    mug = stock_up(migrated.source, now)
    with pytest.raises(CopyError, match="at work"):
        migrated.make(
            lambda _table, done, total: (
                sell(migrated.source, mug, now) if done == total else None
            )
        )

    migrated.make()

    assert everything(migrated.target) == everything(migrated.source)


@pytest.mark.postgres
def test_the_progress_ends_with_every_row(move: Move, now: datetime) -> None:
    stock_up(move.source, now)
    steps: list[tuple[int, int]] = []

    move.make(lambda _table, done, total: steps.append((done, total)))

    total = rows_in(move.source)
    assert steps == sorted(steps)
    assert steps[-1] == (total, total)


@pytest.mark.slow
@pytest.mark.postgres
def test_of_two_copies_to_one_database_one_is_refused(
    move: Move, now: datetime
) -> None:
    stock_up(move.source, now)

    outcomes = at_once([move.make, move.make])

    (refused,) = (each for each in outcomes if isinstance(each, Exception))
    assert isinstance(refused, CopyError)
    assert everything(move.target) == everything(move.source)


def test_a_shop_is_not_copied_to_itself(database: Database, now: datetime) -> None:
    stock_up(database, now)
    before = everything(database)
    url = database.engine.url
    # The same place by another name, as by a link or a pooler.
    if database.is_sqlite:
        link = Path(str(url.database)).with_name("link.db")
        link.symlink_to(str(url.database))
        url = url.set(database=str(link))
    else:
        url = url.update_query_dict({"application_name": "another"})
    target = copying.open_target(url.render_as_string(hide_password=False))

    with pytest.raises(CopyError, match="shop's own database"):
        Move(database, target).make()

    target.engine.dispose()
    assert everything(database) == before


@pytest.mark.parametrize(
    "address",
    [
        "",
        "voorraad.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://shop:s3cret@db.example/shop",
        "postgresql+asyncpg://shop:s3cret@db.example/shop",
        "postgresql://shop:s3cret@db.example:port/shop",
    ],
)
def test_what_is_no_address_of_ours_is_refused_without_repeating_it(
    address: str,
) -> None:
    with pytest.raises(CopyError, match="the target ") as refused:
        copying.open_target(address)

    assert "s3cret" not in str(refused.value)


def test_a_target_that_cannot_be_reached_is_told_without_the_password(
    database: Database,
) -> None:
    target = copying.open_target(
        "postgresql://shop:127@127.0.0.1:1/shop?connect_timeout=5"
    )

    with pytest.raises(CopyError, match="nothing was copied: ") as refused:
        Move(database, target).make()

    assert "127" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    target.engine.dispose()


def test_a_file_that_cannot_be_made_is_told(database: Database, tmp_path: Path) -> None:
    target = copying.open_target(f"sqlite:///{tmp_path / 'no folder' / 'new.db'}")

    with pytest.raises(CopyError, match="unable to open database file"):
        Move(database, target).make()

    target.engine.dispose()
