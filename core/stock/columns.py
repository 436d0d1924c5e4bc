"""The columns that the statements of both databases name, each list once."""

# What a checkout is made with (reservations.Terms), and when.
TERMS = (
    *("visitor", "network", "locale", "notice", "idempotency_key", "offer_id"),
    *("expires_at", "stripe_expires_at", "created_at", "held_since", "kind"),
)
# What an order takes over from the payment, as it is.
PAID = (
    *("stripe_session_id", "payment_intent", "token", "was_late", "currency"),
    *("amount_cents", "discount_cents", "shipping_cents", "tax_cents"),
    *("promotion_code", "shipping_option"),
    *("customer_name", "customer_email", "customer_phone"),
    *("shipping_name", "shipping_address", "billing_address"),
)


def listed(columns: tuple[str, ...], form: str = "{}") -> str:
    """Return *columns* as a list of SQL, each in this *form*: a placeholder, say."""
    return ", ".join(form.format(column) for column in columns)
