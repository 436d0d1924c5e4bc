"""What is told of an order: its sums, what is left of it, and the VAT in both."""

from dataclasses import replace
from datetime import datetime, timedelta

from core.checkout import late_money
from core.database.engine import Database
from core.orders import views as order_views
from core.orders.views import OrderView
from core.payments.data import Bill, Payment
from core.refunds import progress
from tests.core.money_back import fail, order_in, request
from tests.factories import add_product, ask, change, reserved, sold


def test_an_order_shows_its_lines_as_they_were_sold(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, price_cents=1295, name="Mug")
    book = add_product(database, price_cents=895, name="Book")
    change(database, book, vat_bp=900)
    checkout_id = sold(database, {mug: 1, book: 2}, now, cents=3085)
    change(database, mug, name="Cup", price_cents=1, vat_bp=0)

    order = ask(database, lambda s: order_views.of_checkout(s, checkout_id))

    assert order is not None
    assert [(line.name, line.quantity, line.total_cents) for line in order.lines] == [
        ("Mug", 1, 1295),
        ("Book", 2, 1790),
    ]
    assert order.vat == [(2100, 225), (900, 148)]


def test_an_order_is_found_by_its_token_alone(
    database: Database, now: datetime
) -> None:
    checkout_id = sold(database, {add_product(database): 1}, now)
    order = ask(database, lambda s: order_views.of_checkout(s, checkout_id))
    assert order is not None

    assert ask(database, lambda s: order_views.by_token(s, order.token)) == order
    assert ask(database, lambda s: order_views.by_token(s, "")) is None
    assert len(order.token) >= 32


BILL = Bill(subtotal_cents=2300, total_cents=2300, currency="eur")


def mixed(database: Database, now: datetime, bill: Bill = BILL) -> OrderView:
    """Sell a mug of 12,10 (21 %) and two books of 5,45 (9 %): 23,00 in all."""
    mug = add_product(database, price_cents=1210)
    book = add_product(database, price_cents=545)
    change(database, book, vat_bp=900)
    checkout_id = reserved(database, {mug: 1, book: 2}, now)
    payment = Payment("cs_test_1", "pi_1", bill)
    database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, payment, now=now)
    )
    return order_in(database)


def test_what_adds_up_has_no_difference(database: Database, now: datetime) -> None:
    bill = replace(BILL, total_cents=2600, shipping_cents=500, discount_cents=200)
    order = mixed(database, now, bill)

    assert (order.asked_cents, order.difference_cents) == (2600, 0)
    assert order.is_as_asked


def test_another_amount_than_was_asked_for_is_a_difference_with_its_vat(
    database: Database, now: datetime
) -> None:
    order = mixed(database, now, replace(BILL, total_cents=1150, subtotal_cents=1150))

    assert (order.asked_cents, order.difference_cents) == (2300, -1150)
    assert not order.is_as_asked
    assert order.vat == [(2100, 105), (900, 45)]


def test_a_tax_that_stripe_was_told_to_add_is_no_difference_to_look_at(
    database: Database, now: datetime
) -> None:
    order = mixed(database, now, replace(BILL, total_cents=2500, tax_cents=200))

    assert (order.difference_cents, order.is_tax_on_top) == (200, True)
    assert order.is_as_asked
    assert order.vat == [(2100, 210), (900, 90)]


def test_another_currency_than_was_asked_for_has_no_difference_and_no_vat(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, price_cents=1250)
    checkout_id = reserved(database, {mug: 1}, now)
    bill = Bill(subtotal_cents=1250, total_cents=1250, currency="usd")
    payment = Payment("cs_test_1", "pi_1", bill)
    database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, payment, now=now)
    )

    order = order_in(database)

    assert (order.currency, order.promised_currency) == ("usd", "eur")
    assert (order.difference_cents, order.is_as_asked) == (0, False)
    assert order.vat == []


def test_the_vat_of_what_is_left_follows_refunds_by_price(
    database: Database, now: datetime
) -> None:
    order = mixed(database, now)
    request(database, order, 1150, now)

    after = order_in(database)

    assert (after.left_cents, after.vat) == (1150, [(2100, 210), (900, 90)])
    assert after.vat_left == [(2100, 105), (900, 45)]
    request(database, order, 1150, now)
    assert (order_in(database).left_cents, order_in(database).vat_left) == (0, [])


def test_a_refund_is_under_way_until_all_of_it_is_done(
    database: Database, now: datetime
) -> None:
    order = mixed(database, now)
    assert not order.refund_under_way
    first, second = (request(database, order, cents, now) for cents in (100, 200))

    def go_on(refund_id: int, status: str) -> bool:
        database.write(lambda s: progress.become(s, refund_id, status, now=now))
        return order_in(database).refund_under_way

    assert go_on(first, "DONE")
    assert go_on(second, "SENT")
    assert not go_on(second, "DONE")
    later = now + timedelta(days=1)
    third = request(database, order, 300, later)
    assert order_in(database).refund_under_way
    fail(database, third, later)
    assert not order_in(database).refund_under_way


def test_a_checkout_tells_what_it_has_reserved(
    database: Database, now: datetime
) -> None:
    mug = add_product(database, price_cents=1250, name="Mug")
    checkout_id = reserved(database, {mug: 2}, now)

    wanted = ask(database, lambda s: order_views.wanted(s, checkout_id))

    (line,) = wanted.lines
    assert (line.name, line.quantity, line.total_cents) == ("Mug", 2, 2500)
    assert wanted.currency == "eur"
    assert ask(database, lambda s: order_views.wanted(s, 10**9)).lines == ()


def test_a_refund_takes_its_part_of_a_tax_on_top(
    database: Database, now: datetime
) -> None:
    order = mixed(database, now, replace(BILL, total_cents=2500, tax_cents=200))
    request(database, order, 2400, now)

    assert order_in(database).vat_left == [(2100, 9), (900, 4)]


def test_the_cost_of_sending_what_is_free_has_its_vat(
    database: Database, now: datetime
) -> None:
    gift = add_product(database, price_cents=0)
    checkout_id = reserved(database, {gift: 1}, now)
    bill = Bill(subtotal_cents=0, total_cents=495, currency="eur", shipping_cents=495)
    payment = Payment("cs_test_1", "pi_1", bill)
    database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, payment, now=now)
    )

    assert order_in(database).vat == [(2100, 86)]
