"""
What a payment page offers besides the goods: the settings that go into it.

It is fixed with the reservation: a repeated request must send the same bytes, even if
the shop was restarted with other settings meanwhile.
"""

import json
from dataclasses import asdict, dataclass

# With these the money comes days later, while the units stay held. A list of allowed
# methods would hide new ones of Stripe's. If this one misses a method, a delayed
# payment is still understood.
DELAYED_METHODS = (
    "acss_debit",
    "au_becs_debit",
    "bacs_debit",
    "boleto",
    "customer_balance",
    "konbini",
    "multibanco",
    "oxxo",
    "sepa_debit",
    "us_bank_account",
)
# Stripe shows at most this many.
MOST_SHIPPING_OPTIONS = 5
# What a payment in euros may be (docs.stripe.com/currencies, "Minimum and maximum
# charge amounts": 0.50 EUR, and eight digits).
SMALLEST_CHARGE_CENTS = 50
LARGEST_CHARGE_CENTS = 99_999_999


@dataclass(frozen=True)
class ShippingOption:
    """A way to send the goods, and what it costs in the currency of the cart."""

    name: str
    cents: int


@dataclass(frozen=True)
class Offer:
    """
    Where the shop is, and what its payment pages ask and allow.

    *is_vat_exempt* of a sale without VAT is not for Stripe: the order says it for ever.
    """

    shop_url: str
    excluded_methods: tuple[str, ...] = DELAYED_METHODS
    promotion_codes: bool = False
    shipping_countries: tuple[str, ...] = ()
    shipping_options: tuple[ShippingOption, ...] = ()
    asks_phone: bool = False
    asks_terms: bool = False
    is_vat_exempt: bool = False

    def to_json(self) -> str:
        """Return the offer as text: equal offers give equal texts."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Offer":
        """Read what to_json wrote."""
        values = json.loads(text)
        for name in ("excluded_methods", "shipping_countries"):
            values[name] = tuple(values[name])
        options = values["shipping_options"]
        values["shipping_options"] = tuple(ShippingOption(**each) for each in options)
        return cls(**values)
