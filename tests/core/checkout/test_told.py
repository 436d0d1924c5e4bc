"""docs/payments.md tells of every situation, and names the files of its tests."""

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
NAMED = re.compile(r"\(\.\./(tests/[\w/]+\.py)\)")
CODE = re.compile(r"`([^`\n]+)`")
DATABASES = {"sqlite", "postgres"}
# Settings and the stand-in have no database, and the shop in a browser has SQLite.
NOT_ON_BOTH = {
    "tests/core/test_config_of_pages.py",
    "tests/end_to_end/test_holds.py",
    "tests/stripe_emulator/test_sessions.py",
}


def tables() -> dict[str, list[str]]:
    """Return the files of tests that each table of situations names."""
    _, *parts = re.split(r"^### (.*)$", DOCUMENT.read_text(), flags=re.M)
    return {
        title: NAMED.findall(text)
        for title, text in zip(parts[::2], parts[1::2], strict=True)
        if "| situation |" in text
    }


def collected(files: set[str]) -> dict[str, set[str]]:
    """Return the words in the ids under which pytest would run the tests of each."""
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
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file, words in re.findall(r"^(\S+?)::test_\w+(.*)$", told, re.M):
        found[file] |= set(re.split(r"[\[\]-]", words))
    return found


def test_each_table_of_situations_names_files_that_there_are() -> None:
    named = tables()

    assert len(named) >= 7
    assert [title for title, files in named.items() if not files] == []
    files = {each for files in named.values() for each in files}
    assert [each for each in sorted(files) if not (ROOT / each).exists()] == []


@pytest.mark.slow
def test_each_file_that_is_named_is_run_on_both_databases() -> None:
    files = {each for files in tables().values() for each in files}

    found = collected(files)

    not_on_both = {each for each in files if not found[each] >= DATABASES}
    assert not_on_both == NOT_ON_BOTH
    assert [each for each in files if not found[each]] == []


def test_every_entry_and_event_and_the_version_are_told() -> None:
    told = set(CODE.findall(DOCUMENT.read_text()))

    assert {*TO_DO_KINDS, *OF_INTEREST, API_VERSION} <= told
