"""Whether the shop is alive and ready, and its metrics."""

from flask import Blueprint, Flask, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from core.owner import reports
from storefront.extensions import current_shop

blueprint = Blueprint("health", __name__)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    shop = current_shop()
    scheduler = current_app.extensions.get("scheduler")
    try:
        database = "ok" if shop.database.is_migrated() else "not migrated"
    except SQLAlchemyError:
        database = "unreachable"
    checks = {
        "database": database,
        "scheduler": "ok" if scheduler and scheduler.is_in_order() else "not running",
    }
    in_order = all(state == "ok" for state in checks.values())
    answer = jsonify(status="ok" if in_order else "not ready", **checks)
    return answer, 200 if in_order else 503


@blueprint.get("/metrics")
def metrics() -> Response:
    """Count what the database knows: the same from every worker process."""
    shop = current_shop()
    with shop.database.read() as session:
        totals = reports.totals(session, shop.clock())
        attention = reports.attention(session, shop.clock())
    to_most = f", counted to {reports.MOST_COUNTED + 1}"
    figures = (
        ("products", totals.products, "Products in the catalogue"),
        ("stock_units", totals.stock, "Units owned and not yet sold"),
        ("reserved_units", totals.reserved, "Units under PENDING reservations"),
        ("open_checkouts", totals.open_checkouts, f"PENDING checkouts{to_most}"),
        (
            "overdue_checkouts",
            totals.overdue_checkouts,
            f"PENDING checkouts whose hold is over{to_most}",
        ),
        ("orders", totals.orders, "Orders"),
        ("to_dos", attention.to_dos, f"Entries that wait for the owner{to_most}"),
        ("unsent_letters", attention.mails_unsent, f"Letters not sent yet{to_most}"),
        (
            "lost_letters",
            attention.mails_not_arrived,
            f"Letters of the last days that did, or may, not arrive{to_most}",
        ),
        (
            "open_refunds",
            attention.refunds_open,
            f"Refunds that Stripe has not accepted yet{to_most}",
        ),
    )
    lines = (
        f"# HELP voorraad_{name} {meaning}.\n"
        f"# TYPE voorraad_{name} gauge\n"
        f"voorraad_{name} {value}\n"
        for name, value, meaning in figures
    )
    return Response("".join(lines), mimetype="text/plain; version=0.0.4")
