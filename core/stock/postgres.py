"""
Each change of a checkout as one statement, for PostgreSQL.

What costs is the round trip, so a whole change travels as one statement, which needs
no BEGIN and COMMIT around it. `statements` says what they promise.

Two things prevent deadlocks. The checkout row comes first: what follows reads from the
CTE that wrote it. Then a CTE of its own locks the products in ascending id (ORDER BY id
FOR NO KEY UPDATE), because a single statement does not sort by itself.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import exc

from core.database.engine import Executor, LostRaceError, Rows, Values, run
from core.stock.columns import PAID, TERMS, listed

NOT_NULL_VIOLATION = "23502"

# Not "status = 'PENDING'": the partial index of PENDING rows would match it. While
# there are few such rows the planner prefers that index, keeps the plan, and reads all
# of them in a rush.
_IS_PENDING = "checkout.status || '' = 'PENDING'"

_CHECKOUT = f"""
    INSERT INTO checkout ({listed(TERMS)})
    SELECT {listed(TERMS, "%({})s")}"""

_LINE = """
    INSERT INTO stock_reservation (checkout_id, product_id, quantity,
                                   unit_price_cents, currency, vat_bp, product_name,
                                   expires_at)"""

_RESERVED = """
    RETURNING checkout_id, product_id, quantity, unit_price_cents, currency,
              product_name"""

# The first check leaves nothing behind when the units are gone. If they go after it,
# the line has no price: NOT NULL then refuses the whole statement.
RESERVE_ONE = f"""
WITH made AS ({_CHECKOUT}
    FROM product
    WHERE id = %(product_id)s AND is_listed AND stock - reserved >= %(quantity)s
    RETURNING id
), claimed AS (
    UPDATE product SET reserved = reserved + %(quantity)s
    FROM made
    WHERE product.id = %(product_id)s AND is_listed
      AND stock - reserved >= %(quantity)s
    RETURNING price_cents, currency, vat_bp, name
)
{_LINE}
    SELECT made.id, %(product_id)s, %(quantity)s, price_cents, currency, vat_bp, name,
           %(expires_at)s
    FROM made LEFT JOIN claimed ON true
{_RESERVED}
"""  # noqa: S608 (nothing in it comes from outside)

RESERVE_MANY = f"""
WITH cart AS (
    SELECT product_id, quantity
    FROM unnest(CAST(%(product_ids)s AS bigint[]), CAST(%(quantities)s AS integer[]))
      AS line (product_id, quantity)
), made AS ({_CHECKOUT}
    WHERE (
        SELECT count(*) = %(lines)s AND min(currency) = max(currency)
        FROM cart JOIN product ON product.id = product_id
        WHERE is_listed AND stock - reserved >= quantity
    )
    RETURNING id
), sorted AS (
    SELECT product.id, quantity
    FROM made, cart JOIN product ON product.id = product_id
    ORDER BY product.id
    FOR NO KEY UPDATE OF product
), claimed AS (
    UPDATE product SET reserved = reserved + quantity
    FROM sorted
    WHERE product.id = sorted.id AND is_listed AND stock - reserved >= quantity
    RETURNING product.id, price_cents, currency, vat_bp, name
)
{_LINE}
    SELECT made.id, product_id, quantity, price_cents, currency, vat_bp, name,
           %(expires_at)s
    FROM made CROSS JOIN cart LEFT JOIN claimed ON claimed.id = product_id
{_RESERVED}
"""  # noqa: S608 (nothing in it comes from outside)

ATTACH = f"""
WITH taken AS (
    UPDATE checkout
    SET stripe_session_id = %(stripe_session_id)s,
        session_at = coalesce(session_at, %(now)s)
    WHERE id = %(checkout_id)s AND {_IS_PENDING}
      AND (stripe_session_id IS NULL OR stripe_session_id = %(stripe_session_id)s)
    RETURNING id
), noted AS (
    UPDATE stock_reservation SET stripe_session_id = %(stripe_session_id)s
    FROM taken WHERE checkout_id = taken.id
)
SELECT id FROM taken
"""  # noqa: S608 (nothing in it comes from outside)

_RELEASE = """
    UPDATE stock_reservation SET status = %(status)s
    FROM taken WHERE checkout_id = taken.id
    RETURNING product_id, quantity
), units AS (
    SELECT product_id, sum(quantity) AS quantity FROM closed GROUP BY product_id
), sorted AS (
    SELECT product.id, quantity
    FROM units JOIN product ON product.id = product_id
    ORDER BY product.id
    FOR NO KEY UPDATE OF product
), freed AS (
    UPDATE product SET reserved = reserved - quantity
    FROM sorted WHERE product.id = sorted.id
)
SELECT id FROM taken"""

END = f"""
WITH taken AS (
    UPDATE checkout
    SET status = %(status)s, cause = %(cause)s, closed_at = %(now)s,
        awaits_payment = false, is_unpaid = %(is_unpaid)s
    WHERE id = %(checkout_id)s AND {_IS_PENDING}
    RETURNING id
), closed AS ({_RELEASE}
"""  # noqa: S608 (nothing in it comes from outside)

# A checkout that somebody else is changing right now is skipped: they decide about it.
END_ALL = f"""
WITH free AS (
    SELECT id FROM checkout
    WHERE id = ANY(CAST(%(checkout_ids)s AS bigint[])) AND {_IS_PENDING}
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE checkout
    SET status = %(status)s, cause = %(cause)s, closed_at = %(now)s,
        awaits_payment = false, is_unpaid = %(is_unpaid)s
    FROM free WHERE checkout.id = free.id AND {_IS_PENDING}
    RETURNING checkout.id
), closed AS ({_RELEASE}
"""  # noqa: S608 (nothing in it comes from outside)

CONFIRM = f"""
WITH taken AS (
    UPDATE checkout
    SET status = 'CONFIRMED', cause = %(cause)s, closed_at = %(now)s,
        awaits_payment = false, is_unpaid = false,
        stripe_session_id = coalesce(stripe_session_id, %(stripe_session_id)s)
    WHERE id = %(checkout_id)s AND {_IS_PENDING}
    RETURNING id, stripe_session_id, locale
), sold AS (
    UPDATE stock_reservation
    SET status = 'CONFIRMED', stripe_session_id = taken.stripe_session_id
    FROM taken WHERE checkout_id = taken.id
    RETURNING product_id, quantity, unit_price_cents, currency, vat_bp, product_name
), promised AS (
    SELECT min(currency) AS currency,
           sum(CAST(quantity AS bigint) * unit_price_cents) AS cents
    FROM sold
), sale AS (
    INSERT INTO orders (checkout_id, status, promised_currency, promised_cents,
                        created_at, {listed(PAID)})
    SELECT taken.id,
           CASE WHEN promised.cents = %(subtotal_cents)s AND %(adds_up)s
                 AND promised.currency = %(currency)s
                THEN 'PAID' ELSE 'REVIEW' END,
           promised.currency, promised.cents, %(now)s,
           {listed(PAID, "%({})s")}
    FROM taken, promised
    RETURNING id, status, stripe_session_id, payment_intent, amount_cents, currency,
              customer_email, created_at
), lines AS (
    INSERT INTO order_line (order_id, product_id, product_name, quantity,
                            unit_price_cents, vat_bp)
    SELECT sale.id, product_id, product_name, quantity, unit_price_cents, vat_bp
    FROM sale, sold ORDER BY product_id
), movements AS (
    INSERT INTO stock_movement (product_id, quantity, reason, order_id, created_at)
    SELECT product_id, -quantity, 'sold', sale.id, %(now)s
    FROM sale, sold ORDER BY product_id
), sorted AS (
    SELECT product.id, quantity
    FROM sale, sold JOIN product ON product.id = product_id
    ORDER BY product.id
    FOR NO KEY UPDATE OF product
), moved AS (
    UPDATE product SET stock = stock - quantity, reserved = reserved - quantity
    FROM sorted WHERE product.id = sorted.id
), noted AS (
    INSERT INTO stripe_event (id, type, object_id, effect, outcome, received_at)
    SELECT CAST(%(event_id)s AS text), %(event_type)s, sale.stripe_session_id,
           %(event_effect)s, 'PAID', sale.created_at
    FROM sale WHERE CAST(%(event_id)s AS text) <> ''
    ON CONFLICT DO NOTHING
), entered AS (
    INSERT INTO to_do (key, kind, checkout_id, stripe_id, payment_intent, amount_cents,
                       currency, created_at)
    SELECT 'amount-' || sale.stripe_session_id, 'AMOUNT', taken.id,
           sale.stripe_session_id, coalesce(sale.payment_intent, ''),
           sale.amount_cents, sale.currency, sale.created_at
    FROM taken, sale WHERE sale.status = 'REVIEW'
    ON CONFLICT DO NOTHING
    RETURNING id, checkout_id, created_at
), mailed AS (
    INSERT INTO mail (key, kind, checkout_id, to_do_id, recipient, locale, due_at,
                      created_at)
    SELECT 'order-' || sale.id, 'ORDER', taken.id, NULL, sale.customer_email,
           taken.locale, sale.created_at, sale.created_at
    FROM taken, sale WHERE sale.customer_email <> ''
    UNION ALL
    SELECT 'to-do-' || id, 'TO_DO', checkout_id, id, '', 'nl', created_at, created_at
    FROM entered
)
SELECT id FROM sale
"""  # noqa: S608 (nothing in it comes from outside)


def reserve(executor: Executor, cart: Mapping[int, int], terms: Values) -> Rows:
    """Reserve; one line has a form of its own, which takes half as long."""
    products, quantities = list(cart), list(cart.values())
    statement = RESERVE_MANY
    lines: Values = {"product_ids": products, "quantities": quantities}
    if len(cart) == 1:
        statement = RESERVE_ONE
        lines = {"product_id": products[0], "quantity": quantities[0]}
    try:
        return run(executor, statement, {**terms, **lines, "lines": len(cart)})
    except exc.IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) == NOT_NULL_VIOLATION:
            raise LostRaceError from error
        raise


def attach(executor: Executor, checkout_id: int, session: Values) -> bool:
    """Note the session with the checkout and its lines."""
    return bool(run(executor, ATTACH, {**session, "checkout_id": checkout_id}))


def end(executor: Executor, checkout_id: int, ended: Values) -> bool:
    """End one checkout; wait for whoever is changing it."""
    return bool(run(executor, END, {**ended, "checkout_id": checkout_id}))


def end_all(
    executor: Executor, checkout_ids: Collection[int], ended: Values
) -> list[int]:
    """End many; skip those that somebody else is changing right now."""
    values = {**ended, "checkout_ids": list(checkout_ids)}
    return [row[0] for row in run(executor, END_ALL, values)]


def confirm(executor: Executor, checkout_id: int, sale: Values) -> bool:
    """Write the order while the units are taken off."""
    return bool(run(executor, CONFIRM, {**sale, "checkout_id": checkout_id}))
