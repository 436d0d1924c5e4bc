"""Who may import whom: one list of levels, and the homes of a few libraries."""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "storefront", "admin_dashboard", "stripe_emulator", "scripts")
# A room imports only rooms above it in this list, never one beside it.
LEVELS = (
    ("core.clock", "core.errors", "core.formats", "core.models"),
    ("core.database", "core.payments"),
    ("core.config", "core.records"),
    ("core.offers",),
    ("core.shop",),
    ("core.catalogue", "core.stock"),
    ("core.orders",),
    ("core.refunds",),
    ("core.checkout", "core.mail"),
    ("core.maintenance", "core.owner"),
    ("core.scheduler",),
    ("admin_dashboard", "storefront", "stripe_emulator"),
    ("scripts",),
)
HOMES = {
    "alembic": ("core.database",),
    "core": ("core", "storefront", "admin_dashboard", "scripts"),
    "flask": ("storefront", "stripe_emulator"),
    "pandas": ("admin_dashboard",),
    "schedule": ("core.scheduler",),
    "streamlit": ("admin_dashboard",),
    "stripe": ("core.payments", "stripe_emulator"),
    "tests": (),
}
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
Imports = Mapping[str, set[str]]
Check = Callable[[Imports], Iterator[str]]


def read() -> Imports:
    """Return what each module of ours imports, by dotted names."""
    paths = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths
    }
    names = {name.removesuffix(".__init__") for name in modules}
    return {
        name.removesuffix(".__init__"): set(imported(path, names))
        for name, path in modules.items()
    }


def imported(path: Path, ours: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in ours else node.module for name in full)


def is_within(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def room_of(name: str) -> str | None:
    return next((room for room in LEVEL_OF if is_within(name, [room])), None)


def wrong_way(imports: Imports) -> Iterator[str]:
    """Tell who imports a room that is not below its own."""
    for name, found in imports.items():
        for other in found:
            here, there = room_of(name), room_of(other)
            if not here or not there or here == there:
                continue
            if LEVEL_OF[there] >= LEVEL_OF[here]:
                yield f"{name} imports {other}"


def strangers(imports: Imports) -> Iterator[str]:
    """Tell who imports a library, or a package of ours, that lives elsewhere."""
    for name, found in imports.items():
        # An extension is Flask, too: flask_babel, for example.
        for family in {each.split(".")[0].split("_")[0] for each in found} & {*HOMES}:
            if not is_within(name, HOMES[family]):
                yield f"{name} imports {family}"


def workflows_in_rules(imports: Imports) -> Iterator[str]:
    """Tell which rule imports a workflow of its room: what works with a Shop is one."""
    workflows = {name for name, found in imports.items() if "core.shop" in found}
    for name in imports.keys() - workflows:
        if name.startswith("core."):
            for other in imports[name] & workflows:
                if room_of(other) == room_of(name):
                    yield f"{name} imports {other}"


CHECKS = (wrong_way, strangers, workflows_in_rules)


@pytest.mark.parametrize("check", CHECKS)
def test_everything_imports_only_what_it_may(check: Check) -> None:
    assert list(check(read())) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    TopologicalSorter(read()).prepare()


@pytest.mark.parametrize(
    ("check", "who", "whom"),
    [
        (wrong_way, "core.stock.reservations", "core.orders.orders"),
        (wrong_way, "core.orders.orders", "core.refunds.refunds"),
        (wrong_way, "core.stock.ledger", "core.catalogue.importing"),
        (wrong_way, "core.shop", "storefront"),
        (wrong_way, "storefront.pages", "admin_dashboard.words"),
        (wrong_way, "admin_dashboard.words", "storefront.language"),
        (wrong_way, "storefront", "stripe_emulator"),
        (strangers, "core.checkout.settlement", "stripe"),
        (strangers, "storefront.api", "stripe"),
        (strangers, "core.owner.reports", "flask_babel"),
        (strangers, "storefront.pages", "tests.factories"),
        (strangers, "stripe_emulator.clock", "core.clock"),
        (workflows_in_rules, "core.refunds.refunds", "core.refunds.sending"),
    ],
)
def test_what_it_may_not_is_found(check: Check, who: str, whom: str) -> None:
    imports = read()
    imports[who].add(whom)

    assert len(list(check(imports))) == 1


def test_a_circle_is_found() -> None:
    imports = read()
    imports["core.stock.ledger"].add("core.orders.orders")

    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(imports).prepare()
