"""Whether the shop is alive, ready, and what it counts."""

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
    most = reports.MOST_COUNTED + 1
    figures = {
        "voorraad_products": ("Products in the catalogue", totals.products),
        "voorraad_stock_units": ("Units owned and not yet sold", totals.stock),
        "voorraad_reserved_units": (
            "Units under PENDING reservations",
            totals.reserved,
        ),
        "voorraad_open_checkouts": (
            f"PENDING checkouts, counted to {most}",
            totals.open_checkouts,
        ),
        "voorraad_overdue_checkouts": (
            f"PENDING checkouts whose hold is over, counted to {most}",
            totals.overdue_checkouts,
        ),
        "voorraad_orders": ("Orders", totals.orders),
        "voorraad_to_dos": (
            f"Entries that wait for the owner, counted to {most}",
            attention.to_dos,
        ),
        "voorraad_unsent_letters": (
            f"Letters that were not sent yet, counted to {most}",
            attention.mails_unsent,
        ),
        "voorraad_lost_letters": (
            "Letters of the last days that did not arrive, or nobody knows, counted to"
            f" {most}",
            attention.mails_not_arrived,
        ),
        "voorraad_open_refunds": (
            f"Refunds that Stripe has not taken yet, counted to {most}",
            attention.refunds_open,
        ),
    }
    lines = []
    for name, (meaning, value) in figures.items():
        lines += [
            f"# HELP {name} {meaning}.",
            f"# TYPE {name} gauge",
            f"{name} {value}",
        ]
    return Response("\n".join(lines) + "\n", mimetype="text/plain; version=0.0.4")
