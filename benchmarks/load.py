"""
Databases of any size, filled by the database itself, true to the shop's invariants.

Row by row through the shop a million checkouts would take longer than all the rest.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from core.clock import utcnow
from core.database.engine import Database
from core.orders import sales

PRODUCTS = 10_000
HOT = 1  # the product that everybody wants
STOCK = 1_000_000_000

# What the two databases say differently: a row for each number, a number as 16 digits,
# as many digits at random, a time so many seconds from now.
WORDS = {
    "postgresql": {
        "numbers": """SELECT n FROM
            generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS series(n)
            """,
        "number": "lpad(to_hex(n), 16, '0')",
        "random": "substr(md5(random()::text || n), 1, 16)",
        "moment": "now() + make_interval(secs => {})",
    },
    "sqlite": {
        "numbers": """SELECT n FROM (
            WITH RECURSIVE series(n) AS (
                SELECT :first UNION ALL SELECT n + 1 FROM series WHERE n < :last)
            SELECT n FROM series)""",
        "number": "printf('%016x', n)",
        "random": "lower(hex(randomblob(8)))",
        "moment": "strftime('%Y-%m-%d %H:%M:%f000', 'now', ({}) || ' seconds')",
    },
}


@dataclass(frozen=True)
class Fill:
    """
    What a database holds besides its products: live reservations and old ones.

    Each is a checkout of one unit. With *is_hot* all live ones are of one product. Half
    of the old ones were paid and are orders.
    """

    live: int = 0
    old: int = 0
    is_hot: bool = False

    def __str__(self) -> str:
        where = " of one product" if self.is_hot else ""
        return f"{self.live:,} live{where} and {self.old:,} old reservations"


def put(database: Database, fill: Fill) -> None:
    """Fill an empty *database*, and leave it as tidy as its own upkeep would."""
    in_a_hurry = _in_a_hurry_sqlite if database.is_sqlite else _in_a_hurry_postgresql
    with database.engine.connect() as connection, in_a_hurry(connection):
        _put_products(connection)
        if fill.old:
            _put_checkouts(connection, 1, fill.old, is_old=True, product=_spread())
            _put_orders(connection)
        if fill.live:
            product = str(HOT) if fill.is_hot else _spread()
            first, last = fill.old + 1, fill.old + fill.live
            _put_checkouts(connection, first, last, is_old=False, product=product)
        _count(connection)
        if not database.is_sqlite:
            _set_sequences(connection)
    while sales.roll_up(database, now=utcnow()):
        pass
    _tidy(database)


@contextmanager
def _in_a_hurry_sqlite(connection: Connection) -> Iterator[None]:
    """Keep it all in memory until the end: whatever breaks, the file is thrown away."""
    driver: Any = connection.connection.driver_connection
    for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
        driver.execute(f"PRAGMA {setting}")
    yield
    connection.commit()


@contextmanager
def _in_a_hurry_postgresql(connection: Connection) -> Iterator[None]:
    """
    Build the indexes at the end, and look up no foreign keys: what is put in is true.

    Primary keys stay, because they are what the rows are joined by.
    """
    indexes = connection.execute(text(_INDEXES)).all()
    for drop, _ in indexes:
        connection.exec_driver_sql(drop)
    connection.exec_driver_sql("SET session_replication_role = replica")
    connection.exec_driver_sql("SET maintenance_work_mem = '512MB'")
    yield
    for _, create in indexes:
        connection.exec_driver_sql(create)
    connection.invalidate()


_INDEXES = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
              pg_get_constraintdef(oid))
FROM pg_constraint
WHERE contype = 'u' AND connamespace = current_schema()::regnamespace
UNION ALL
SELECT format('DROP INDEX %I', indexname), indexdef
FROM pg_indexes
WHERE schemaname = current_schema()
  AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


def _spread() -> str:
    # A step that has no divisor in common with their number meets every product.
    return f"1 + (n * 7919) % {PRODUCTS}"


def _do(connection: Connection, statement: str, **values: object) -> None:
    words = WORDS[connection.dialect.name]
    said = statement.replace("[numbers]", words["numbers"])
    for word in ("number", "random"):
        said = said.replace(f"[{word}]", words[word])
    while "[moment " in said:
        before, rest = said.split("[moment ", 1)
        seconds, after = rest.split("]", 1)
        said = before + words["moment"].format(seconds) + after
    connection.execute(text(said), values)


def _put_products(connection: Connection) -> None:
    _do(
        connection,
        """INSERT INTO product (id, slug, sku, name, price_cents, stock, description,
                                handle, title, created_at)
           SELECT n, 'product-' || n, 'SKU-' || n, 'Product ' || n, 995 + n % 5000,
                  :stock, 'Handmade, one by one, in a small workshop.',
                  'product-' || n, 'Product ' || n, [moment -31536000]
           FROM ([numbers]) AS each_one""",
        first=1,
        last=PRODUCTS,
        stock=STOCK,
    )
    _do(
        connection,
        """INSERT INTO stock_movement (product_id, quantity, reason, created_at)
           SELECT id, stock, 'received', created_at FROM product""",
    )


def _put_checkouts(
    connection: Connection, first: int, last: int, *, is_old: bool, product: str
) -> None:
    # Old ones ended one after the other during a year; live ones have a day to go.
    status = "CASE WHEN n % 2 = 0 THEN 'CONFIRMED' ELSE 'EXPIRED' END"
    ago = f"-86400 - (n * 31.0) % {365 * 86400}"
    if not is_old:
        # Their deadlines follow each other, so that a part of them can be told apart.
        status, ago = (
            "'PENDING'",
            f"{first - last - 1} / 1000.0 + (n - {first}) / 1000.0",
        )
    ends = f"{ago} + {900 if is_old else 86400}"
    _do(
        connection,
        f"""INSERT INTO checkout (id, visitor, network, status, cause, notice,
                                  idempotency_key, stripe_session_id, created_at,
                                  expires_at, stripe_expires_at, closed_at)
            SELECT n, [number] || [random], '', {status}, '',
                   'We hold your products until 12:00. After that nothing is charged.',
                   'checkout-' || [number] || [random],
                   'cs_test_' || [random] || [random] || [random] || n,
                   [moment {ago}], [moment {ends}], [moment {ends} + 1200],
                   {f"[moment {ends}]" if is_old else "NULL"}
            FROM ([numbers]) AS each_one""",  # noqa: S608 (nothing from outside)
        first=first,
        last=last,
    )
    _do(
        connection,
        f"""INSERT INTO stock_reservation (checkout_id, product_id, stripe_session_id,
                                           quantity, unit_price_cents, currency, vat_bp,
                                           product_name, expires_at, status)
            SELECT held.n, held.product_id, stripe_session_id, 1, price_cents, currency,
                   vat_bp, name, expires_at, checkout.status
            FROM (SELECT n, {product} AS product_id FROM ([numbers]) AS number) AS held
            JOIN checkout ON checkout.id = held.n
            JOIN product ON product.id = held.product_id""",  # noqa: S608 (as above)
        first=first,
        last=last,
    )


def _put_orders(connection: Connection) -> None:
    """Make orders of all that is CONFIRMED."""
    for statement in (
        """INSERT INTO orders (id, checkout_id, stripe_session_id, payment_intent,
                               token, currency, amount_cents, promised_currency,
                               promised_cents, customer_name, customer_email,
                               created_at)
           SELECT n, n, stripe_session_id, 'pi_' || stripe_session_id,
                  [random] || [random], 'eur', 995, 'eur', 995,
                  'Marijke de Vries', 'm@shop.example', closed_at
           FROM (SELECT id AS n, * FROM checkout) AS sold WHERE status = 'CONFIRMED'""",
        """INSERT INTO order_line (order_id, product_id, product_name, quantity,
                                   unit_price_cents, vat_bp)
           SELECT checkout_id, product_id, product_name, quantity, unit_price_cents,
                  vat_bp
           FROM stock_reservation WHERE status = 'CONFIRMED'""",
        """INSERT INTO stock_movement (product_id, quantity, reason, order_id,
                                       created_at)
           SELECT product_id, -quantity, 'sold', checkout_id, expires_at
           FROM stock_reservation WHERE status = 'CONFIRMED'""",
    ):
        _do(connection, statement)


def _count(connection: Connection) -> None:
    """Set the counters to what the rows say."""
    _do(
        connection,
        """UPDATE product SET reserved = held.units
           FROM (SELECT product_id, sum(quantity) AS units FROM stock_reservation
                 WHERE status = 'PENDING' GROUP BY product_id) AS held
           WHERE product.id = held.product_id""",
    )
    _do(
        connection,
        """UPDATE product SET stock = booked.units
           FROM (SELECT product_id, sum(quantity) AS units FROM stock_movement
                 GROUP BY product_id) AS booked
           WHERE product.id = booked.product_id AND stock <> booked.units""",
    )


def _set_sequences(connection: Connection) -> None:
    for table in ("product", "checkout", "orders"):
        connection.execute(
            text(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"  # noqa: S608
                f" (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
            )
        )


def _tidy(database: Database) -> None:
    with closing(database.engine.raw_connection()) as connection:
        driver: Any = connection.driver_connection  # which commits by itself
        if database.is_sqlite:
            statements = ["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"]
        else:
            filled = ", ".join(row[0] for row in driver.execute(_FILLED))
            statements = [f"VACUUM ANALYZE {filled}", "CHECKPOINT"]
        for statement in statements:
            driver.execute(statement)


# Not those without rows, which upkeep leaves alone, too: what is known to be empty is
# planned for as such, and the plan stays after rows have come.
_FILLED = """
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
  AND pg_relation_size(oid) > 0
"""
