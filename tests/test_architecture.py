"""Who may import whom: one list of levels, and the homes of a few libraries."""

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
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
    ("stripe_emulator.validation",),
    ("stripe_emulator.state",),
    ("stripe_emulator.checkout", "stripe_emulator.faults", "stripe_emulator.webhooks"),
    ("stripe_emulator.money",),
    ("stripe_emulator.serving",),
    ("stripe_emulator.api", "stripe_emulator.hosted_page"),
    ("stripe_emulator.control",),
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
    "stripe_emulator": ("stripe_emulator",),
    "tests": (),
}
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# What a room shows to the others: its __init__ is a docstring and this list.
DOORS = {
    room: importlib.import_module(room).__all__
    for room in LEVEL_OF
    if "." in room and (ROOT / room.replace(".", "/")).is_dir()
}
Imports = Mapping[str, set[str]]
Check = Callable[[Imports], Iterator[str]]


@cache
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
    rooms = [room for room in LEVEL_OF if is_within(name, [room])]
    return max(rooms, key=len, default=None)


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
        tops = {re.split(r"\.|(?<=^flask)_", each)[0] for each in found}
        for family in tops & HOMES.keys():
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


def past_doors(imports: Imports) -> Iterator[str]:
    """Tell who imports a module that the door of its room does not name."""
    for name, found in imports.items():
        for other in found & imports.keys():
            room = room_of(other)
            if room not in DOORS or room in (other, room_of(name)):
                continue
            if other.removeprefix(f"{room}.").split(".")[0] not in DOORS[room]:
                yield f"{name} imports {other}"


CHECKS = (wrong_way, strangers, workflows_in_rules, past_doors)


@pytest.mark.parametrize("check", CHECKS)
def test_everything_imports_only_what_it_may(check: Check) -> None:
    assert list(check(read())) == []


def circle_in(imports: Imports) -> list[str]:
    """Return the modules of a circle of imports, none if there is no circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle_in(read()) == []


@pytest.mark.parametrize(
    ("check", "who", "whom"),
    [
        (wrong_way, "core.stock.reservations", "core.orders.orders"),
        (wrong_way, "core.orders.orders", "core.refunds.refunds"),
        (wrong_way, "core.stock.ledger", "core.catalogue.importing"),
        (wrong_way, "core.shop", "storefront"),
        (wrong_way, "storefront.pages", "admin_dashboard.words"),
        (wrong_way, "admin_dashboard.words", "storefront.language"),
        (strangers, "core.checkout.settlement", "stripe"),
        (strangers, "storefront.api", "stripe"),
        (strangers, "core.owner.reports", "flask_babel"),
        (strangers, "storefront.pages", "tests.factories"),
        (strangers, "stripe_emulator.state.clock", "core.clock"),
        (wrong_way, "stripe_emulator.state.account", "stripe_emulator.money.refunds"),
        (strangers, "storefront", "stripe_emulator.state.clock"),
        (workflows_in_rules, "core.refunds.refunds", "core.refunds.sending"),
        (past_doors, "core.orders.sales", "core.stock.postgres"),
    ],
)
def test_what_it_may_not_is_found(check: Check, who: str, whom: str) -> None:
    imports = {**read(), who: read()[who] | {whom}}

    assert len(list(check(imports))) == 1


def test_a_circle_is_found() -> None:
    ledger = read()["core.stock.ledger"]
    imports = {**read(), "core.stock.ledger": ledger | {"core.orders.orders"}}

    assert {"core.stock.ledger", "core.orders.orders"} <= {*circle_in(imports)}


@pytest.mark.parametrize("room", DOORS)
def test_a_door_says_what_the_room_is_for_and_has_no_code(room: str) -> None:
    path = ROOT / room.replace(".", "/")
    tree = ast.parse((path / "__init__.py").read_text())
    modules = {each.stem for each in path.iterdir()} - {"__init__"}

    assert ast.get_docstring(tree)
    assert len(tree.body) == 2
    assert {*DOORS[room]} <= modules
