"""What must be true after every step, and what once all messages are through."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import func, select

from core.maintenance import doctor
from core.models.catalogue import Product
from core.models.checkout import PENDING, Checkout
from core.models.mail import Mail
from core.models.orders import Order
from core.models.records import (
    PAID_TWICE,
    REFUND_FAILED,
    TOO_LATE,
    UNKNOWN_SESSION,
    ToDo,
)
from core.models.refunds import AUTOMATIC, DONE, FAILED, SENT, Refund
from core.models.stock import SOLD, StockMovement, StockReservation
from core.refunds.owed import SENT_BACK_BEFORE
from tests.model.world import Json, World


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
        if session["status"] != "open" or session["id"] in world.unheld:
            continue
        checkout = checkouts[int(session["client_reference_id"])]
        assert checkout.status == PENDING, "it can be paid, and its units are free"
        pages[checkout.visitor] += 1
    assert all(count == 1 for count in pages.values()), "two pages of one visitor"


def hold_in_the_end(world: World) -> None:
    """Check what is true once Stripe can be reached and time has passed."""
    assert [s["id"] for s in world.sessions() if s["status"] == "open"] == []
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
        unsent = session.scalars(select(Mail.key).where(Mail.status != SENT)).all()
    assert [r.id for r in refunds if r.status not in (DONE, FAILED)] == []
    assert [e.stripe_id for e in entries if e.kind == UNKNOWN_SESSION] == []
    _each_payment_is_accounted_for(world, orders, refunds, entries)
    assert unsent == []
    assert Counter(world.sent) == letters, "a letter was lost, or sent twice"
    for order in orders:
        assert letters[f"order-{order.id}"] == 1
    for entry in entries:
        assert letters[f"to-do-{entry.id}"] == 1
    for refund in refunds:
        _its_letters_were_written(refund, letters)
    entered = {e.payment_intent for e in entries if e.kind == REFUND_FAILED}
    assert _owed(refunds) <= entered
    _stripe_agrees_on_refunds(world, refunds)


def _owed(refunds: Sequence[Refund]) -> set[str]:
    """Return the payments of which something did not go back as it was to."""
    failed = [refund for refund in refunds if refund.status == FAILED]
    return {r.payment_intent for r in failed if r.failure != SENT_BACK_BEFORE}


def _each_payment_is_accounted_for(
    world: World,
    orders: Sequence[Order],
    refunds: Sequence[Refund],
    entries: Sequence[ToDo],
) -> None:
    paid = {
        session["id"]: session
        for session in world.sessions()
        if session["status"] == "complete" and session["payment_status"] != "unpaid"
    }
    sold = {order.stripe_session_id for order in orders}
    sent_back = {r.stripe_session_id for r in refunds if r.cause == AUTOMATIC}
    told = Counter(e.stripe_id for e in entries if e.kind in (TOO_LATE, PAID_TWICE))
    free = {key for key, each in paid.items() if not each["amount_total"]}
    accounted = sold | sent_back | (free & told.keys())
    assert paid.keys() <= accounted, "a payment was lost"
    assert sold <= paid.keys()
    assert told == dict.fromkeys(sent_back | (free & told.keys()), 1)
    _late_money_is_back(world, refunds, paid)


def _its_letters_were_written(refund: Refund, letters: Counter[str]) -> None:
    """Who is promised money is told so, and so is who expects what does not come."""
    promised, owed = (letters[f"{kind}-{refund.id}"] for kind in ("refund", "owed"))
    assert promised <= 1
    assert owed <= 1
    if refund.status in (SENT, DONE):
        assert promised == 1
    if refund.status == FAILED:
        is_late_money = refund.cause == AUTOMATIC and refund.failure != SENT_BACK_BEFORE
        assert owed == (promised or is_late_money)


def _late_money_is_back(
    world: World, refunds: Sequence[Refund], paid: Mapping[str, Json]
) -> None:
    back: Counter[str] = Counter()
    for each in world.all("refunds"):
        if each["status"] not in ("failed", "canceled"):
            back[each["payment_intent"]] += each["amount"]
    # The owner has an entry of what failed.
    owed = _owed(refunds)
    for refund in refunds:
        if refund.cause == AUTOMATIC and refund.payment_intent not in owed:
            whole = paid[refund.stripe_session_id]["amount_total"]
            assert back[refund.payment_intent] == whole, "late money was kept"


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
