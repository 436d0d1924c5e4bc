"""The parameters that Stripe makes a payment page of."""

from typing import TYPE_CHECKING

from core.payments.data import SessionRequest
from core.payments.offer import Offer
from core.payments.reading import CHECKOUT_KEY

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

MOST_NAME_CHARACTERS = 250


def create_params(request: SessionRequest) -> "SessionCreateParams":
    """
    Return the parameters of a Checkout Session.

    They depend on *request* alone, so a second try sends the same bytes.
    """
    # Given twice, as Stripe does not copy it from the session to the payment intent,
    # which refunds and disputes refer to.
    metadata = {
        "checkout_id": str(request.checkout_id),
        CHECKOUT_KEY: request.idempotency_key,
    }
    shop_url = request.offer.shop_url
    params: SessionCreateParams = {
        "mode": "payment",
        "client_reference_id": str(request.checkout_id),
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "line_items": [
            {
                "quantity": line.quantity,
                "price_data": {
                    "currency": line.currency,
                    "unit_amount": line.unit_price_cents,
                    "product_data": {"name": line.name[:MOST_NAME_CHARACTERS]},
                },
            }
            for line in request.lines
        ],
        "expires_at": int(request.expires_at.timestamp()),
        "locale": "nl" if request.locale == "nl" else "en",
        "success_url": f"{shop_url}/checkout/success"
        "?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": f"{shop_url}/checkout/cancel/{request.checkout_id}",
        "adaptive_pricing": {"enabled": False},
    }
    if request.notice:
        params["custom_text"] = {"submit": {"message": request.notice}}
    _add_offer(params, request.offer, request.lines[0].currency)
    return params


def _add_offer(params: "SessionCreateParams", offer: Offer, currency: str) -> None:
    if offer.excluded_methods:
        params["excluded_payment_method_types"] = list(offer.excluded_methods)
    if offer.promotion_codes:
        params["allow_promotion_codes"] = True
    if offer.shipping_countries:
        params["shipping_address_collection"] = {
            "allowed_countries": list(offer.shipping_countries)
        }
    if offer.shipping_options:
        params["shipping_options"] = [
            {
                "shipping_rate_data": {
                    "type": "fixed_amount",
                    "display_name": option.name,
                    "fixed_amount": {"amount": option.cents, "currency": currency},
                }
            }
            for option in offer.shipping_options
        ]
    if offer.asks_phone:
        params["phone_number_collection"] = {"enabled": True}
    if offer.asks_terms:
        # Stripe refuses this unless its dashboard knows the address of the terms.
        params["consent_collection"] = {"terms_of_service": "required"}
