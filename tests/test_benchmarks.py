"""The benchmarks still run: a change of what they call shows here, not years later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHES
from tests.programs import environment

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 300
# Those that use the most of the others' parts, and are quick.
SUBJECTS = (
    "sqlite-end",
    pytest.param("dashboard", marks=pytest.mark.long),
    pytest.param("webhook", marks=pytest.mark.long),
)


def bench(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_quick_run_measures_beside_a_floor(subject: str) -> None:
    done = bench("--quick", "--json", "--only", subject)

    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert findings
    for finding in findings:
        assert finding["ratio"] == finding["measured"] / finding["floor_measured"] > 0
        assert len(finding["rounds"]) >= 3


def test_every_subject_says_what_it_measures() -> None:
    done = bench("--list")

    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(said) == [each.name for each in BENCHES]
    assert all(said.values())


def test_an_unknown_subject_is_refused_with_the_names_of_the_others() -> None:
    done = bench("--only", "spead")

    assert done.returncode == 2
    assert "spead" in done.stderr
    assert all(each.name in done.stderr for each in BENCHES)
