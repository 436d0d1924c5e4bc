"""What was found, as a table for people or as JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.measure import Finding, Samples

HEADINGS = (
    *("what", "engine", "clients", "measured", "floor", "floor value"),
    *("ratio", "target", ""),
)
NUMBERS = (3, 5, 6)  # set to the right


def table_of(findings: Sequence[Finding]) -> str:
    rows = [HEADINGS, *(_cells(finding) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    rule = "  ".join("─" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if column in NUMBERS else cell.ljust(width)


def _cells(finding: Finding) -> tuple[str, ...]:
    verdict = "short" if finding.is_short else "ok"
    return (
        finding.what,
        finding.engine,
        finding.clients,
        _with_spread(finding.measured, finding.unit),
        finding.floor,
        _with_spread(finding.floor_samples, finding.unit),
        f"{finding.ratio:.2f}",
        str(finding.target or ""),
        verdict if finding.target else "",
    )


def _with_spread(samples: Samples, unit: str) -> str:
    value = samples.median
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    spread = f" ±{samples.spread / 2:.0%}" if len(samples.values) > 1 else ""
    return f"{value:,.{digits}f} {unit}{spread:>5}"


def json_of(findings: Sequence[Finding], conditions: dict[str, Any]) -> str:
    rows = [
        {
            "what": finding.what,
            "engine": finding.engine,
            "clients": finding.clients,
            "unit": finding.unit,
            "measured": finding.measured.median,
            "rounds": finding.measured.values,
            "floor": finding.floor,
            "floor_measured": finding.floor_samples.median,
            "floor_rounds": finding.floor_samples.values,
            "ratio": finding.ratio,
            "target": str(finding.target) if finding.target else None,
            "ok": not finding.is_short if finding.target else None,
        }
        for finding in findings
    ]
    return json.dumps({**conditions, "findings": rows}, indent=2)
