"""docs/payments.md tells of every situation, and names tests that there are."""

import ast
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from core.checkout.events import OF_INTEREST
from core.models.records import TO_DO_KINDS
from core.payments.gateway import API_VERSION

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "payments.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
CODE = re.compile(r"`([^`\n]+)`")
DATABASES = {"sqlite", "postgres"}
# The stand-in has no database of the shop's.
STAND_IN = "tests/stripe_emulator/"

Named = tuple[str, str]


def situations() -> dict[str, list[Named]]:
    """Return file and name of the tests of each situation."""
    rows = [line for line in DOCUMENT.read_text().splitlines() if NAMED.search(line)]
    return {row.split("|")[1].strip(): NAMED.findall(row) for row in rows}


def defined_in(file: str) -> set[str]:
    path = ROOT / file
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def collected(files: set[str]) -> dict[Named, set[str]]:
    """Return the words in the ids under which pytest would run each test."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_")
    }
    command = [sys.executable, "-m", "pytest", "--collect-only", "--long", "-q"]
    command += sorted(files)
    told = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    found: defaultdict[Named, set[str]] = defaultdict(set)
    for file, name, words in re.findall(r"^(\S+?)::(test_\w+)(.*)$", told, re.M):
        found[file, name] |= set(re.split(r"[\[\]-]", words))
    return found


def test_every_test_that_is_named_exists() -> None:
    named = {each for tests in situations().values() for each in tests}

    assert len(named) > 100
    assert [each for each in sorted(named) if each[1] not in defined_in(each[0])] == []


@pytest.mark.slow
def test_every_situation_is_shown_on_both_databases() -> None:
    told = situations()
    found = collected({file for tests in told.values() for file, _ in tests})

    lacking = [
        situation
        for situation, tests in told.items()
        if not any(each[0].startswith(STAND_IN) for each in tests)
        and not any(found[each] >= DATABASES for each in tests)
    ]

    assert lacking == []


def test_every_entry_and_event_and_the_version_are_told() -> None:
    told = set(CODE.findall(DOCUMENT.read_text()))

    assert {*TO_DO_KINDS, *OF_INTEREST, API_VERSION} <= told
