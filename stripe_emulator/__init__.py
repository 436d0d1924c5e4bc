"""
A stand-in for Stripe Checkout, as strict as Stripe, on 127.0.0.1.

    python -m stripe_emulator --port 8420 --state FILE
        --webhook-url http://127.0.0.1:8000/api/stripe/webhook --webhook-secret S

A program meets it through its API alone: sessions (create, retrieve, list, update,
line items, expire), payment intents, charges, refunds and events under `/v1`, the
payment page under `/c/pay/`, and a list of the latest payments at `/`. Parameters are
judged by the types inside the `stripe` package. What it does not know is refused in
Stripe's shape, never passed over.

Tests steer it through routes of its own; bodies and answers are JSON:

    POST /_emulator/reset                   as new: no objects, no faults
    GET  /_emulator/requests                method, path, query, body, headers
    POST /_emulator/clock                   {"advance": seconds}
    POST /_emulator/sessions/ID/pay         {"method": "card|ideal|sepa_debit|decline",
                                             "wait": true, "payer": {"email", "name"}};
                                            a method that the page does not offer
                                            works, too: a shop's list may miss one
    POST /_emulator/sessions/ID/settle      {"outcome": "succeed|fail"}
    POST /_emulator/refunds/ID/fail         a refund that fails after all
    POST /_emulator/charges/ID/dispute      the customer disputes
    GET  /_emulator/faults                  what is to go wrong
    POST /_emulator/faults                  {"route", "kind", "id", "times", "seconds",
                                             "status", "headers"}: see `faults.Kind`;
                                            "route" is a name in `routes.ROUTES` or "*",
                                            "times" 0 lasts until a reset
    POST /_emulator/faults                  {"kind": "webhooks", "mode": "normal|hold|
                                             drop|duplicate|twice", "signature":
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
