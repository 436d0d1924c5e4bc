"""
A stand-in for Stripe Checkout, as strict as Stripe, on 127.0.0.1.

    python -m stripe_emulator --port 8420 --state FILE
        --webhook-url http://127.0.0.1:8000/api/stripe/webhook --webhook-secret S

Programs use it through its API only. Under `/v1`: sessions (create, retrieve, list,
update, line items, expire), payment intents, charges, refunds, disputes, coupons,
promotion codes, shipping rates and events; and what Stripe's command-line client needs
to pay: products, prices, payment methods and payment pages. The payment page is under
`/c/pay/`, and a list of the latest payments at `/`. Tests steer it through the routes
that `control` describes.

Parameters are checked against the types inside the `stripe` package. What the emulator
does not know is refused with an error in Stripe's format, never ignored.

From the top down: `emulator` (with `__main__`) starts it; `control`; `api` and
`hosted_page`; `serving`; `money`; `checkout`, `faults` and `webhooks`; `state`;
`validation`. A folder imports only from folders further down.
"""

__all__ = ["emulator"]
