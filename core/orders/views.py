"""
The read side for orders: what was sold, what was paid, and what of it is left.

Small frozen dataclasses, no rules. Money is cents, times are UTC.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core import offers
from core.database.rows import view_of
from core.models import refunds
from core.models.orders import Order, OrderLine
from core.models.refunds import Dispute, Refund
from core.models.stock import StockReservation


@dataclass(frozen=True)
class OrderLineView:
    """A line of an order; *unit_price_cents* includes VAT."""

    product_id: int
    name: str
    quantity: int
    unit_price_cents: int
    vat_bp: int
    returned: int = 0

    @property
    def total_cents(self) -> int:
        """What the line costs, VAT included."""
        return self.quantity * self.unit_price_cents


@dataclass(frozen=True)
class Wanted:
    """What a checkout reserved, sold or not."""

    lines: tuple[OrderLineView, ...]
    currency: str


@dataclass(frozen=True)
class OrderView:
    """
    An order with its lines, whose prices are in *promised_currency*.

    *refunded_cents* includes refunds that were only requested; *refund_under_way* until
    the customer has all of them. *lost_cents* is what a bank took back in disputes;
    *is_disputed* while it may take more. *shipping_address* has Stripe's names (line1,
    postal_code, city, country …). *is_vat_exempt* of a sale while the shop charged no
    VAT: then none may be shown.
    """

    number: int
    checkout_id: int
    token: str
    status: str
    was_late: bool
    created_at: datetime
    amount_cents: int
    currency: str
    promised_cents: int
    promised_currency: str
    customer_name: str
    customer_email: str
    stripe_session_id: str
    payment_intent: str
    discount_cents: int
    promotion_code: str
    shipping_cents: int
    shipping_option: str
    tax_cents: int
    refunded_cents: int
    customer_phone: str
    shipping_name: str
    shipping_address: Mapping[str, str]
    fulfilled_at: datetime | None
    refund_under_way: bool
    lost_cents: int
    is_disputed: bool
    lines: tuple[OrderLineView, ...]
    is_vat_exempt: bool = False

    @property
    def goods_cents(self) -> int:
        """What the lines cost together, before discount and shipping."""
        return sum(line.total_cents for line in self.lines)

    @property
    def asked_cents(self) -> int:
        """What the goods cost after discount and with shipping."""
        return self.goods_cents + self.shipping_cents - self.discount_cents

    @property
    def difference_cents(self) -> int:
        """What was paid above the amount asked for; 0 in another currency."""
        if self.currency != self.promised_currency:
            return 0
        return self.amount_cents - self.asked_cents

    @property
    def is_tax_on_top(self) -> bool:
        """Tell whether the difference is tax that the owner told Stripe to add."""
        return self.difference_cents != 0 and self.difference_cents == self.tax_cents

    @property
    def is_as_asked(self) -> bool:
        """Tell whether the amount asked for was paid, in its currency, plus any tax."""
        is_same = self.currency == self.promised_currency
        return is_same and (not self.difference_cents or self.is_tax_on_top)

    @property
    def left_cents(self) -> int:
        """What remains of the payment after refunds and lost disputes."""
        return max(self.amount_cents - self.refunded_cents - self.lost_cents, 0)

    @property
    def vat(self) -> list[tuple[int, int]]:
        """(rate in basis points, VAT in cents) in what was paid, highest rate first."""
        return self._vat_in(self.amount_cents)

    @property
    def vat_left(self) -> list[tuple[int, int]]:
        """The VAT in what is left of the payment, as *vat*; none if nothing is."""
        return self._vat_in(self.left_cents)

    def _vat_in(self, cents: int) -> list[tuple[int, int]]:
        is_same = self.currency == self.promised_currency
        if self.is_vat_exempt or not is_same or not cents:
            return []
        more_cents = cents - self.goods_cents
        if self.is_tax_on_top:
            more_cents -= self.tax_cents * cents // self.amount_cents
        lines = [(line.vat_bp, line.total_cents) for line in self.lines]
        return vat_within(lines + _shared_out(more_cents, lines))


def _shared_out(cents: int, lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """
    Share *cents* out over the VAT rates in proportion to the goods, by price.

    So shipping, discounts and refunds follow the goods (a rule of the Belastingdienst).
    What rounding leaves goes to the highest rate.
    """
    total = sum(amount for _, amount in lines)
    if not cents or not lines:
        return []
    if not total:
        return [(max(rate for rate, _ in lines), cents)]
    shares = [(rate, cents * amount // total) for rate, amount in lines]
    left = cents - sum(share for _, share in shares)
    return [*shares, (max(rate for rate, _ in lines), left)]


def vat_within(lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """
    Return the VAT inside amounts that include it, (rate, cents) for each rate.

    *lines* are (rate in basis points, amount in cents). Rounded half up once for each
    rate, not for each line.
    """
    gross: defaultdict[int, int] = defaultdict(int)
    for rate, cents in lines:
        gross[rate] += cents
    return [
        (rate, (cents * rate + (10_000 + rate) // 2) // (10_000 + rate))
        for rate, cents in sorted(gross.items(), reverse=True)
    ]


def of_checkout(session: Session, checkout_id: int) -> OrderView | None:
    """Find the order that a checkout became."""
    return _order(session, select(Order).where(Order.checkout_id == checkout_id))


def by_token(session: Session, token: str) -> OrderView | None:
    """Find an order by the secret in its address."""
    return _order(session, select(Order).where(Order.token == token))


def _order(session: Session, query: Select[Order]) -> OrderView | None:
    return next(iter(views(session, query)), None)


def views(session: Session, query: Select[Order]) -> list[OrderView]:
    """Return the orders that *query* selects, with their lines."""
    rows = session.scalars(query).all()
    ids = [row.id for row in rows]
    lines: defaultdict[int, list[OrderLineView]] = defaultdict(list)
    sold = select(OrderLine).where(OrderLine.order_id.in_(ids)).order_by(OrderLine.id)
    for line in session.scalars(sold):
        view = view_of(OrderLineView, line, name=line.product_name)
        lines[line.order_id].append(view)
    is_open = Refund.status.in_((refunds.REQUESTED, refunds.SENT))
    owed = select(Refund.order_id).where(Refund.order_id.in_(ids), is_open)
    under_way = set(session.scalars(owed))
    lost, disputed = _disputes(session, [row.checkout_id for row in rows])
    untaxed = [
        row.checkout_id for row in rows if not any(x.vat_bp for x in lines[row.id])
    ]
    exempt = offers.exempt_from_vat(session, untaxed)
    return [
        view_of(
            OrderView,
            row,
            number=row.id,
            payment_intent=row.payment_intent or "",
            shipping_address=json.loads(row.shipping_address or "{}"),
            refund_under_way=row.id in under_way,
            lost_cents=lost[row.payment_intent or "", row.currency],
            is_disputed=(row.payment_intent or "") in disputed,
            is_vat_exempt=row.checkout_id in exempt,
            lines=tuple(lines[row.id]),
        )
        for row in rows
    ]


def _disputes(
    session: Session, checkout_ids: Collection[int]
) -> tuple[Mapping[tuple[str, str], int], set[str]]:
    """Return cents lost by (payment, currency), and the payments in dispute."""
    lost: defaultdict[tuple[str, str], int] = defaultdict(int)
    disputed = set()
    query = select(Dispute).where(Dispute.checkout_id.in_(checkout_ids))
    for dispute in session.scalars(query):
        if dispute.status == refunds.DISPUTE_LOST:
            lost[dispute.payment_intent, dispute.currency] += dispute.amount_cents
        elif dispute.status not in refunds.DISPUTE_OVER:
            disputed.add(dispute.payment_intent)
    return lost, disputed


def wanted(session: Session, checkout_id: int) -> Wanted:
    """Return what a checkout has reserved."""
    query = select(StockReservation).where(StockReservation.checkout_id == checkout_id)
    rows = session.scalars(query.order_by(StockReservation.id)).all()
    lines = (
        view_of(OrderLineView, row, name=row.product_name, returned=0) for row in rows
    )
    return Wanted(tuple(lines), rows[0].currency if rows else "eur")


def numbers_of(
    session: Session, checkout_ids: Collection[int | None]
) -> dict[int | None, int]:
    """Return checkout id to order number of those checkouts that became an order."""
    ids = {each for each in checkout_ids if each is not None}
    query = select(Order.checkout_id, Order.id).where(Order.checkout_id.in_(ids))
    return {row.checkout_id: row.id for row in session.execute(query)}
