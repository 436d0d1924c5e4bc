"""
A stand-in for Stripe Checkout, as strict as Stripe, on 127.0.0.1.

    python -m stripe_emulator --port 8420 --state FILE
        --webhook-url http://127.0.0.1:8000/api/stripe/webhook --webhook-secret S

A program meets it through its API alone. Under `/v1`: sessions (create, retrieve, list,
update, line items, expire), payment intents, charges, refunds, disputes, coupons,
promotion codes, shipping rates and events; and what Stripe's command-line client pays
with: products, prices, payment methods and payment pages. The payment page is under
`/c/pay/`, and a list of the latest payments at `/`. Parameters are judged by the types
inside the `stripe` package. What it does not know is refused in Stripe's shape, never
passed over.

Tests steer it through routes of its own; bodies and answers are JSON:

    POST /_emulator/reset                   as new: no objects, no faults
    GET  /_emulator/requests                method, path, query, body, headers
    POST /_emulator/clock                   {"advance": seconds}
    POST /_emulator/sessions/ID/pay         {"method": "card|ideal|sepa_debit|decline",
                                             "shipping": name of an option or its
                                             number from 0, "promotion_code",
                                             "wait": true, "payer": {"email", "name",
                                             "phone", "address": {"line1",
                                             "postal_code", "city", "country"},
                                             "shipping_name", "terms": true}};
                                            what the session asks for and the payer
                                            leaves out is filled in; a method that the
                                            page does not offer is refused, but with
                                            "forgotten": true, as if the shop's list
                                            had missed it
    POST /_emulator/sessions/ID/settle      {"outcome": "succeed|fail"}
    POST /_emulator/sessions/ID/recover     a copy of an expired session, as by the link
                                            of `after_expiration`; answers the new one
    POST /_emulator/refunds/next            {"status": "succeeded|pending|failed",
                                             "times": 1}: how the next ones come back
    POST /_emulator/refunds/ID/succeed      a pending refund has gone through
    POST /_emulator/refunds/ID/fail         a refund that fails after all
    POST /_emulator/charges/ID/refund       {"amount", "reason", "metadata"}: by hand at
                                            Stripe; ID may be that of the charge, of the
                                            payment intent or of the session
    POST /_emulator/charges/ID/dispute      {"amount", "reason"}: the customer disputes
    POST /_emulator/disputes/ID/review      the shop has answered
    POST /_emulator/disputes/ID/close       {"outcome": "won|lost"}
    GET  /_emulator/faults                  what is to go wrong
    POST /_emulator/faults                  {"route", "kind", "id", "times", "seconds",
                                             "status", "headers"}: see `faults.Kind`;
                                            "route" is a name in `routes.ROUTES` or "*",
                                            "times" 0 lasts until a reset
    POST /_emulator/faults                  {"kind": "webhooks", "mode": "normal|hold|
                                             drop|duplicate|twice", "types": [] for
                                             every event, "signature":
                                             "right|wrong|rolled|future|old"}
    POST /_emulator/faults/clear
    POST /_emulator/barriers                {"route", "after": false, "id"}: calls wait
    GET  /_emulator/barriers                who waits where
    POST /_emulator/barriers/release        {"route"}; without one, all
    POST /_emulator/webhooks/endpoint       {"url", "secret"}
    GET  /_emulator/webhooks                attempts made, deliveries waiting
    POST /_emulator/webhooks/release        {"order": "normal|reversed"}; held events go
    POST /_emulator/events/ID/deliver       once more, whatever the mode

With the mode "duplicate" one event comes twice, with "twice" one fact makes two events.
"""
