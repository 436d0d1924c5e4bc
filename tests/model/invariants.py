"""What must be true after every step, and what once all messages are through."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func, select

from core import doctor
from core.models import (
    AUTOMATIC,
    FAILED,
    PAID_TWICE,
    PENDING,
    REQUESTED,
    SOLD,
    TOO_LATE,
    UNKNOWN_SESSION,
    Checkout,
    Mail,
    Order,
    Product,
    Refund,
    StockMovement,
    StockReservation,
    ToDo,
)
from tests.model.world import World


def hold_always(world: World) -> None:
    """Check what no order of messages, faults and deaths may break."""
    with world.database.read() as session:
        assert doctor.examine(session) == []
        checkouts = {row.id: row for row in session.scalars(select(Checkout))}
        orders = session.scalars(select(Order)).all()
        refunds = session.scalars(select(Refund)).all()
        sold = session.scalar(
            select(func.coalesce(-func.sum(StockMovement.quantity), 0)).where(
                StockMovement.reason == SOLD
            )
        )
    assert sold is not None
    assert sold <= world.received
    _each_page_that_can_be_paid_has_its_units(world, checkouts)
    sold_by = Counter(order.stripe_session_id for order in orders)
    sent_back = {r.stripe_session_id for r in refunds if r.cause == AUTOMATIC}
    assert all(count == 1 for count in sold_by.values())
    assert not sold_by.keys() & sent_back, "sold and sent back"
    for order in orders:
        going_back = sum(
            refund.amount_cents
            for refund in refunds
            if refund.order_id == order.id and refund.status != FAILED
        )
        assert order.refunded_cents == going_back


def _each_page_that_can_be_paid_has_its_units(
    world: World, checkouts: dict[int, Checkout]
) -> None:
    pages: Counter[str] = Counter()
    for session in world.sessions():
        if session["status"] != "open" or session["id"] in world.recovered:
            continue
        checkout = checkouts[int(session["client_reference_id"])]
        assert checkout.status == PENDING, "it can be paid, and its units are free"
        pages[checkout.visitor] += 1
    assert all(count == 1 for count in pages.values()), "two pages of one visitor"


def hold_in_the_end(world: World) -> None:
    """Check what is true once Stripe can be reached and time has passed."""
    paid = {
        session["id"]: session
        for session in world.sessions()
        if session["status"] == "complete" and session["payment_status"] != "unpaid"
    }
    still_open = [s["id"] for s in world.sessions() if s["status"] == "open"]
    assert still_open == []
    with world.database.read() as session:
        pending = session.scalars(select(Checkout.id).where(Checkout.status == PENDING))
        assert pending.all() == []
        reserved = select(func.sum(Product.reserved))
        assert session.scalar(reserved) == 0
        held = select(StockReservation.id).where(StockReservation.status == PENDING)
        assert session.scalars(held).all() == []
        orders = session.scalars(select(Order)).all()
        refunds = session.scalars(select(Refund)).all()
        entries = session.scalars(select(ToDo)).all()
        letters = Counter(session.scalars(select(Mail.key)))
    assert [r.id for r in refunds if r.status == REQUESTED] == []
    accounted = {order.stripe_session_id for order in orders}
    accounted |= {r.stripe_session_id for r in refunds if r.cause == AUTOMATIC}
    accounted |= {
        entry.stripe_id
        for entry in entries
        if entry.kind in (TOO_LATE, PAID_TWICE, UNKNOWN_SESSION)
    }
    assert paid.keys() <= accounted, "a payment was lost"
    assert {order.stripe_session_id for order in orders} <= paid.keys()
    for order in orders:
        assert letters[f"order-{order.id}"] == 1
    for refund in refunds:
        assert letters[f"refund-{refund.id}"] == 1
    _stripe_agrees_on_refunds(world, refunds)


def _stripe_agrees_on_refunds(world: World, refunds: Sequence[Refund]) -> None:
    at_stripe = {refund["id"]: refund for refund in world.all("refunds")}
    ours = {r.stripe_refund_id: r for r in refunds if r.stripe_refund_id}
    assert at_stripe.keys() == ours.keys()
    for refund_id, refund in at_stripe.items():
        has_failed = refund["status"] in ("failed", "canceled")
        assert (ours[refund_id].status == FAILED) == has_failed
        assert ours[refund_id].amount_cents == refund["amount"]
    keys = Counter(
        refund["metadata"].get("refund_key")
        for refund in at_stripe.values()
        if refund["metadata"].get("refund_key")
    )
    assert all(count == 1 for count in keys.values()), "paid back twice"
