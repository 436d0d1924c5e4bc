"""
Every refusal on purpose. Anything else that is raised is a bug.

* ShopError
  + ConfigError                 invalid settings; they stop the start
  + OwnerError                  not an email address, or a password that is too short
  + CatalogueError              an invalid product file
  + CopyError                   the shop cannot be copied there, or not now
  + NotFoundError
    - ProductNotFoundError      a cart names a product that does not exist
    - CheckoutNotFoundError     a payment of ours without a checkout in this database
  + CartError
    - EmptyCartError            nothing to buy
    - InvalidQuantityError      not a whole number over 0, or over a limit
  + StockError
    - InsufficientStockError    a line asks for more than is available
    - StockAdjustmentError      the difference would leave less stock than is reserved
  + PriceChangedError           a price is not the one that the customer has seen
  + TooManyHoldsError           the visitor or the network holds too much
  + TooManyTriesError           too many tries to check out in a minute
  + EarlierPaidError            the visitor's earlier checkout turned out to be paid
  + RefundRefusedError          more than is left of a payment cannot go back
  + HoldEndedError              the hold ended while its payment page was being made
  + BusyError                   the database was busy for too long; try again
  + PaymentError                Stripe refused; trying again will not help
    - AlreadyRefundedError      other refunds have returned the whole payment
    - PaymentUnavailableError   Stripe could not be reached; trying again may help
      . PaymentBusyError        Stripe's rate limit is reached
    - WebhookSignatureError     not from Stripe; its content must not be acted on

Errors carry data. Words for people and HTTP codes live in the front ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Shortage:
    """One line that asks for more than is available; quantities are units."""

    product_id: int
    requested: int
    available: int


@dataclass(frozen=True)
class PriceChange:
    """One line whose unit price is not the one that was seen; both in cents."""

    product_id: int
    seen_cents: int
    price_cents: int
    currency: str


class ShopError(Exception):
    """A refusal on purpose; the docstring is the default message."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigError(ShopError):
    """Invalid settings: the message names the *variable* and what is expected of it."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable
        self.problem = problem


class OwnerError(ShopError):
    """Not an email address, or a password that is too short."""


@dataclass(frozen=True)
class Refusal:
    """
    One thing that is wrong with a product file: a *fault* with its *values*.

    *line* is the physical line in the file (the first is 1), *column* the name as the
    file spells it; None where the fault has no such place. *row* is the line on which
    the row begins. `core.catalogue.faults` names the faults.
    """

    fault: str
    line: int | None = None
    column: str | None = None
    row: int | None = None
    values: Mapping[str, object] = field(default_factory=dict)


class CatalogueError(ShopError):
    """
    An invalid product file; nothing was changed.

    *refusals* are the first MOST_REFUSALS of it by line, *count* is how many there are.
    """

    MOST_REFUSALS = 50

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        # A cell that several rows go by is wrong once.
        each_once = {(each.line, each.column, each.fault): each for each in refusals}
        ordered = sorted(each_once.values(), key=lambda refusal: refusal.line or 0)
        self.refusals = tuple(ordered[: self.MOST_REFUSALS])
        self.count = len(ordered)
        self.line, self.column = self.refusals[0].line, self.refusals[0].column
        super().__init__(
            "; ".join(
                f"line {each.line}, column {each.column!r}: {each.fault}"
                for each in self.refusals
            )
        )


class CopyError(ShopError):
    """The shop cannot be copied there, or not now; the target is as empty as before."""


class NotFoundError(ShopError):
    """There is no such thing."""


class ProductNotFoundError(NotFoundError):
    """A cart names products that do not exist."""

    def __init__(self, product_ids: Sequence[int]) -> None:
        super().__init__(f"no product {', '.join(map(str, product_ids))}")
        self.product_ids = tuple(product_ids)


class CheckoutNotFoundError(NotFoundError):
    """A payment has our metadata, but its checkout is not in this database."""


class CartError(ShopError):
    """The cart cannot be bought as it is."""


class EmptyCartError(CartError):
    """There is nothing in the cart."""


class InvalidQuantityError(CartError):
    """A quantity is not a whole number over 0, or over the limit."""

    def __init__(
        self, product_id: int, quantity: object, *, limit: int | None = None
    ) -> None:
        super().__init__(f"product {product_id}: quantity {quantity!r}")
        self.product_id = product_id
        self.quantity = quantity
        self.limit = limit


class StockError(ShopError):
    """The stock does not allow it."""


class InsufficientStockError(StockError):
    """At least one line asks for more than is available; nothing was reserved."""

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        super().__init__()
        self.shortages = tuple(shortages)


class StockAdjustmentError(StockError):
    """The difference would leave less stock than is reserved; nothing was changed."""

    def __init__(self, *, stock: int, reserved: int, difference: int) -> None:
        super().__init__(f"stock {stock}, reserved {reserved}, difference {difference}")
        self.stock = stock
        self.reserved = reserved
        self.difference = difference


class PriceChangedError(ShopError):
    """At least one price is not the one that was seen; nothing stays reserved."""

    def __init__(self, changes: Sequence[PriceChange]) -> None:
        super().__init__()
        self.changes = tuple(changes)


class TooManyHoldsError(ShopError):
    """
    The visitor or the network has as many open checkouts as allowed, holds its share
    of a product, or has to wait after holds that were not paid.

    *reason* is one of core.models.limits.REASONS, *until* when it is worth another try,
    *product_ids* what the share is of.
    """

    def __init__(
        self, reason: str, until: datetime, product_ids: Sequence[int] = ()
    ) -> None:
        super().__init__(f"{reason} until {until:%H:%M:%S}")
        self.reason = reason
        self.until = until
        self.product_ids = tuple(product_ids)


class TooManyTriesError(ShopError):
    """Too many tries to check out in this minute; *until* the next one begins."""

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


class EarlierPaidError(ShopError):
    """The visitor's earlier checkout was paid: the cart may hold what was bought."""

    def __init__(self, checkout_id: int) -> None:
        super().__init__()
        self.checkout_id = checkout_id


class RefundRefusedError(ShopError):
    """More than is left of a payment cannot go back; nothing was changed."""

    def __init__(self, *, wanted_cents: int, left_cents: int) -> None:
        super().__init__(f"refund of {wanted_cents} cents, {left_cents} are left")
        self.wanted_cents = wanted_cents
        self.left_cents = left_cents


class HoldEndedError(ShopError):
    """The hold ended while its payment page was being made; nothing can be paid."""


class BusyError(ShopError):
    """The database was busy for too long; nothing was changed."""


class PaymentError(ShopError):
    """Stripe refused; trying the same again will not help."""

    is_in_doubt = False
    """An earlier try of the same call may have been carried out."""


class AlreadyRefundedError(PaymentError):
    """Refunds that the shop did not make have returned the whole payment."""


class PaymentUnavailableError(PaymentError):
    """
    Stripe could not be reached or did not answer clearly; it may have acted.

    *is_concluded* when it has answered with an error of its own (500), or refused for a
    cause that has passed: whatever the request did is done by now. *may_retry* when
    the same call may do better at once.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        is_concluded: bool = False,
        may_retry: bool = False,
    ) -> None:
        super().__init__(message or "Stripe did not answer clearly")
        self.is_concluded = is_concluded
        self.may_retry = may_retry


class PaymentBusyError(PaymentUnavailableError):
    """Stripe's rate limit is reached; it can be asked again soon."""


class WebhookSignatureError(PaymentError):
    """The request does not come from Stripe; its content must not be acted on."""
