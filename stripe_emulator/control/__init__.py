"""
Routes under `/_emulator/` by which tests steer the emulator.

Bodies and answers are JSON, amounts are in cents:

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
                                            demo data fill in what the payer leaves
                                            out; a method that the page does not offer
                                            is refused, except with "forgotten": true
    POST /_emulator/sessions/ID/settle      {"outcome": "succeed|fail"}
    POST /_emulator/sessions/ID/recover     a copy of an expired session, as by the link
                                            of `after_expiration`; answers the new one
    POST /_emulator/refunds/next            {"status": "succeeded|pending|failed",
                                             "times": 1}: the outcome of the next ones
    POST /_emulator/refunds/ID/succeed      a pending refund has gone through
    POST /_emulator/refunds/ID/fail         a refund that fails after all
    POST /_emulator/charges/ID/refund       {"amount", "reason", "metadata"}: by hand at
                                            Stripe; ID is that of the charge, of the
                                            payment intent or of the session
    POST /_emulator/charges/ID/dispute      {"amount", "reason"}: the customer disputes
    POST /_emulator/disputes/ID/review      the shop has answered
    POST /_emulator/disputes/ID/close       {"outcome": "won|lost"}
    GET  /_emulator/faults                  the faults still to come
    POST /_emulator/faults                  {"route", "kind", "id", "times", "seconds",
                                             "status", "headers"}: see `faults`;
                                            "route" is a name in `api.routes` or "*",
                                            "times" 0 lasts until a reset
    POST /_emulator/faults                  {"kind": "webhooks", "mode": "normal|hold|
                                             drop|duplicate|twice", "types": [] for
                                             every event, "signature":
                                             "right|wrong|rolled|future|old"}
    POST /_emulator/faults/clear
    POST /_emulator/barriers                {"route", "after": false, "id"}: calls wait
    GET  /_emulator/barriers                who waits where
    POST /_emulator/barriers/release        {"route"}; without one, all
    POST /_emulator/webhooks/endpoint       {"url", "secret"}; without a URL, nowhere
    GET  /_emulator/webhooks                attempts made, deliveries waiting
    POST /_emulator/webhooks/release        {"order": "normal|reversed"}: sends the held
                                            events and makes the mode normal again
    POST /_emulator/events/ID/deliver       once more, in any mode

The mode "duplicate" sends each event twice; "twice" makes two events of each.
"""

__all__ = ["routes"]
