"""Whether the shop is alive and ready, and its metrics."""

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from core.owner import reports
from storefront.extensions import current_shop

blueprint = Blueprint("health", __name__)

# A metric, its name in Totals or Attention, and what it means.
METRICS = (
    ("products", "products", "Products in the catalogue"),
    ("stock_units", "stock", "Units owned and not yet sold"),
    ("reserved_units", "reserved", "Units under PENDING reservations"),
    ("open_checkouts", "open_checkouts", "PENDING checkouts"),
    ("overdue_checkouts", "overdue_checkouts", "PENDING checkouts whose hold is over"),
    ("orders", "orders", "Orders"),
    ("to_dos", "to_dos", "Entries that wait for the owner"),
    ("unsent_letters", "mails_unsent", "Letters not sent yet"),
    (
        "lost_letters",
        "mails_not_arrived",
        "Letters of the last days that did, or may, not arrive",
    ),
    ("open_refunds", "refunds_open", "Refunds that Stripe has not accepted yet"),
)
EXACT = ("products", "stock", "reserved", "orders")


@blueprint.get("/healthz")
def alive() -> Response:
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    scheduler = current_app.extensions.get("scheduler")
    try:
        is_migrated = current_shop().database.is_migrated()
        database = "ok" if is_migrated else "not migrated"
    except SQLAlchemyError:
        database = "unreachable"
    is_running = scheduler and scheduler.is_in_order()
    checks = {"database": database, "scheduler": "ok" if is_running else "not running"}
    in_order = all(state == "ok" for state in checks.values())
    answer = jsonify(status="ok" if in_order else "not ready", **checks)
    return answer, 200 if in_order else 503


@blueprint.get("/metrics")
def metrics() -> Response:
    """Count what the database knows: the same from every worker process."""
    now = current_shop().clock()
    with current_shop().database.read() as session:
        totals = reports.totals(session, now)
        attention = reports.attention(session, now)
    counts = vars(totals) | vars(attention)
    text = ""
    for name, figure, meaning in METRICS:
        to_most = "" if figure in EXACT else f", counted to {reports.MOST_COUNTED + 1}"
        text += (
            f"# HELP voorraad_{name} {meaning}{to_most}.\n"
            f"# TYPE voorraad_{name} gauge\n"
            f"voorraad_{name} {counts[figure]}\n"
        )
    return Response(text, mimetype="text/plain; version=0.0.4")
