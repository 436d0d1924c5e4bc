import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("core", "storefront", "admin_dashboard")
PACKAGES = (*SHIPPED, "stripe_emulator", "scripts")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
# Where a library may be imported: a module, or a folder with all that is in it.
HOMES = {
    "stripe": (
        "core/payments.py",
        "core/stripe_client.py",
        "core/payment_request.py",
        "core/countries.py",
        "stripe_emulator",
    ),
    "schedule": ("core/scheduler.py",),
    "streamlit": ("admin_dashboard",),
    "pandas": ("admin_dashboard",),
    "flask": ("storefront", "stripe_emulator"),
    "alembic": ("core/database.py", "core/migrations"),
    "core": (*SHIPPED, "scripts"),
    "storefront": ("storefront",),
    "admin_dashboard": ("admin_dashboard",),
    "stripe_emulator": ("stripe_emulator",),
    "tests": (),
}
RULES = (
    "reservations",
    "orders",
    "refunds",
    "owed",
    "refund_reports",
    "disputes",
    "records",
    "history",
    "case",
    "giving_back",
    "stock",
    "queries",
    "order_views",
    "money_views",
    "views",
    "reports",
    "sales",
    "owners",
    "doctor",
    "catalogue",
)
WORKFLOWS = (
    "shop",
    "settlement",
    "checkout",
    "copying",
    "events",
    "expiry",
    "late_money",
    "refunding",
    "comparison",
    "reconcile",
    "mail",
)
NOT_FOR_RULES = {
    f"core.{name}" for name in (*WORKFLOWS, "payments", "stripe_client", "scheduler")
}


def names_in(path: Path) -> set[str]:
    """Return all that a module imports: for `from a.b import c` both a.b and a.b.c."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_it_may(path: Path) -> None:
    place = path.relative_to(ROOT)
    # An extension is Flask, too: flask_babel, for example.
    families = {re.split(r"\.|(?<=flask)_", name)[0] for name in names_in(path)}
    strangers = {
        name
        for name in families & HOMES.keys()
        if not any(place.is_relative_to(home) for home in HOMES[name])
    }

    assert strangers == set()


@pytest.mark.parametrize("rules", RULES)
def test_rules_know_no_workflow_and_no_stripe(rules: str) -> None:
    assert names_in(ROOT / "core" / f"{rules}.py") & NOT_FOR_RULES == set()
