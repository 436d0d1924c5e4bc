"""
Each change of a checkout by a few statements, for SQLite.

There is no network to cross, so they go one by one, each over all lines of the cart,
straight to the driver. The transaction holds the write lock since its beginning (BEGIN
IMMEDIATE): nothing changes between two of them. `statements` says what they promise.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from core.database.engine import Executor, Rows, Values, run
from core.stock.columns import PAID, TERMS, listed

CHECKOUT = f"""
INSERT INTO checkout ({listed(TERMS)})
SELECT {listed(TERMS, ":{}")}
WHERE (
    SELECT count(*) = :lines AND min(currency) = max(currency)
    FROM json_each(:cart) AS line
    CROSS JOIN product ON product.id = CAST(line.key AS INTEGER)
    WHERE is_listed AND stock - reserved >= line.value
)
RETURNING id
"""  # noqa: S608 (nothing in it comes from outside)
CLAIM = """
UPDATE product SET reserved = reserved + line.value
FROM json_each(:cart) AS line
WHERE product.id = CAST(line.key AS INTEGER)
"""
LINES = """
INSERT INTO stock_reservation (checkout_id, product_id, quantity, unit_price_cents,
                               currency, vat_bp, product_name, expires_at)
SELECT :checkout_id, product.id, line.value, price_cents, currency, vat_bp, name,
       :expires_at
FROM json_each(:cart) AS line
CROSS JOIN product ON product.id = CAST(line.key AS INTEGER)
RETURNING checkout_id, product_id, quantity, unit_price_cents, currency, product_name
"""
ATTACH = """
UPDATE checkout
SET stripe_session_id = :stripe_session_id, session_at = coalesce(session_at, :now)
WHERE id = :checkout_id AND status = 'PENDING'
  AND (stripe_session_id IS NULL OR stripe_session_id = :stripe_session_id)
RETURNING id
"""
ATTACH_LINES = """
UPDATE stock_reservation SET stripe_session_id = :stripe_session_id
WHERE checkout_id = :checkout_id
"""
END = """
UPDATE checkout
SET status = :status, cause = :cause, closed_at = :now, awaits_payment = 0,
    is_unpaid = :is_unpaid
WHERE id IN (SELECT value FROM json_each(:checkout_ids)) AND status = 'PENDING'
RETURNING id
"""
END_LINES = """
UPDATE stock_reservation SET status = :status
WHERE checkout_id IN (SELECT value FROM json_each(:checkout_ids))
"""
RELEASE = """
UPDATE product SET reserved = reserved - units.quantity
FROM (
    SELECT product_id, sum(quantity) AS quantity
    FROM stock_reservation
    WHERE checkout_id IN (SELECT value FROM json_each(:checkout_ids))
    GROUP BY product_id
) AS units
WHERE product.id = units.product_id
"""
CONFIRM_CHECKOUT = """
UPDATE checkout
SET status = 'CONFIRMED', cause = :cause, closed_at = :now, awaits_payment = 0,
    is_unpaid = 0,
    stripe_session_id = coalesce(stripe_session_id, :stripe_session_id)
WHERE id = :checkout_id AND status = 'PENDING'
RETURNING stripe_session_id, locale
"""
CONFIRM_LINES = """
UPDATE stock_reservation SET status = 'CONFIRMED', stripe_session_id = :noted
WHERE checkout_id = :checkout_id
"""
TAKE_OFF = """
UPDATE product
SET stock = stock - line.quantity, reserved = reserved - line.quantity
FROM stock_reservation AS line
WHERE line.checkout_id = :checkout_id AND product.id = line.product_id
"""
ORDER = f"""
INSERT INTO orders (checkout_id, status, promised_currency, promised_cents, created_at,
                    {listed(PAID)})
SELECT :checkout_id,
       CASE WHEN promised.cents = :subtotal_cents AND :adds_up
             AND promised.currency = :currency
            THEN 'PAID' ELSE 'REVIEW' END,
       promised.currency, promised.cents, :now, {listed(PAID, ":{}")}
FROM (
    SELECT min(currency) AS currency, sum(quantity * unit_price_cents) AS cents
    FROM stock_reservation WHERE checkout_id = :checkout_id
) AS promised
RETURNING id, status
"""  # noqa: S608 (nothing in it comes from outside)
ORDER_LINES = """
INSERT INTO order_line (order_id, product_id, product_name, quantity, unit_price_cents,
                        vat_bp)
SELECT :order_id, product_id, product_name, quantity, unit_price_cents, vat_bp
FROM stock_reservation WHERE checkout_id = :checkout_id ORDER BY product_id
"""
MOVEMENTS = """
INSERT INTO stock_movement (product_id, quantity, reason, order_id, created_at)
SELECT product_id, -quantity, 'sold', :order_id, :now
FROM stock_reservation WHERE checkout_id = :checkout_id ORDER BY product_id
"""
NOTE = """
INSERT INTO stripe_event (id, type, object_id, effect, outcome, received_at)
VALUES (:event_id, :event_type, :stripe_session_id, :event_effect, 'PAID', :now)
ON CONFLICT DO NOTHING
"""
TO_DO = """
INSERT INTO to_do (key, kind, checkout_id, stripe_id, payment_intent, amount_cents,
                   currency, created_at)
VALUES ('amount-' || :stripe_session_id, 'AMOUNT', :checkout_id, :stripe_session_id,
        coalesce(:payment_intent, ''), :amount_cents, :currency, :now)
ON CONFLICT DO NOTHING
RETURNING id
"""
MAIL_ORDER = """
INSERT INTO mail (key, kind, checkout_id, recipient, locale, due_at, created_at)
VALUES ('order-' || :order_id, 'ORDER', :checkout_id, :customer_email, :locale, :now,
        :now)
"""
MAIL_TO_DO = """
INSERT INTO mail (key, kind, checkout_id, to_do_id, due_at, created_at)
VALUES ('to-do-' || :to_do_id, 'TO_DO', :checkout_id, :to_do_id, :now, :now)
"""


def reserve(executor: Executor, cart: Mapping[int, int], terms: Values) -> Rows:
    """Reserve; a cart that is refused has changed nothing."""
    values = _texts({**terms, "cart": json.dumps(cart), "lines": len(cart)})
    made = run(executor, CHECKOUT, values)
    if not made:
        return []
    run(executor, CLAIM, values)
    values["checkout_id"] = made[0][0]
    return run(executor, LINES, values)


def attach(executor: Executor, checkout_id: int, session: Values) -> bool:
    """Note the session with the checkout and its lines."""
    values = _texts({**session, "checkout_id": checkout_id})
    if not run(executor, ATTACH, values):
        return False
    run(executor, ATTACH_LINES, values)
    return True


def end(executor: Executor, checkout_id: int, ended: Values) -> bool:
    """End one checkout."""
    return bool(end_all(executor, [checkout_id], ended))


def end_all(
    executor: Executor, checkout_ids: Collection[int], ended: Values
) -> list[int]:
    """End many; only those that were PENDING release their units."""
    values = _texts({**ended, "checkout_ids": json.dumps(list(checkout_ids))})
    ids = [row[0] for row in run(executor, END, values)]
    if ids:
        values["checkout_ids"] = json.dumps(ids)
        run(executor, END_LINES, values)
        run(executor, RELEASE, values)
    return ids


def confirm(executor: Executor, checkout_id: int, sale: Values) -> bool:
    """Take the units off, then write the order from the same lines."""
    values = _texts({**sale, "checkout_id": checkout_id})
    confirmed = run(executor, CONFIRM_CHECKOUT, values)
    if not confirmed:
        return False
    values["noted"], values["locale"] = confirmed[0]
    run(executor, CONFIRM_LINES, values)
    run(executor, TAKE_OFF, values)
    ((values["order_id"], status),) = run(executor, ORDER, values)
    run(executor, ORDER_LINES, values)
    run(executor, MOVEMENTS, values)
    if values["event_id"]:
        run(executor, NOTE, values)
    if values["customer_email"]:
        run(executor, MAIL_ORDER, values)
    if status == "REVIEW":
        for row in run(executor, TO_DO, values):
            run(executor, MAIL_TO_DO, {**values, "to_do_id": row[0]})
    return True


def _texts(values: Values) -> dict[str, object]:
    """Return *values* with datetimes as the texts that SQLite stores."""
    return {
        name: value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
        if isinstance(value, datetime)
        else value
        for name, value in values.items()
    }
