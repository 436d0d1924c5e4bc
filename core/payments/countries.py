"""The countries that a customer may have goods sent to, as Stripe's page knows them."""

from typing import Any, get_args, get_type_hints

from stripe.params.checkout import SessionCreateParamsShippingAddressCollection


def _names_in(hint: Any) -> frozenset[str]:
    inner = get_args(hint)
    if not inner:
        return frozenset({hint} if isinstance(hint, str) else ())
    return frozenset().union(*(_names_in(each) for each in inner))


# Stripe refuses every page that offers another one. The list comes with its package, so
# that it is as new as the version of Stripe's interface that the package speaks.
SHIPPED_TO = _names_in(
    get_type_hints(SessionCreateParamsShippingAddressCollection)["allowed_countries"]
)
