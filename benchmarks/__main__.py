"""`./run.sh bench`: how fast the shop is, beside what is possible here and now."""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import (
    cpu,
    dashboard,
    expiry,
    history,
    memory,
    reserve,
    sqlite,
    web,
    webhook,
)
from benchmarks.measure import Finding
from benchmarks.progress import Progress
from benchmarks.stand import QUICK, ShortOfRoomError, Sizes, Stand
from benchmarks.tables import json_of, table_of


@dataclass(frozen=True)
class Bench:
    """One subject; *seconds* is about what it takes in full."""

    name: str
    seconds: int
    measure: Callable[[Stand], Iterator[Finding]]

    @property
    def what(self) -> str:
        return (self.measure.__doc__ or "").strip()


BENCHES = (
    Bench("reserve", 110, reserve.reserve),
    Bench("end", 45, reserve.end),
    Bench("sqlite", 40, sqlite.reserve),
    Bench("sqlite-end", 25, sqlite.end),
    Bench("expiry", 230, expiry.expiry),
    Bench("history", 100, history.history),
    Bench("checkout", 90, web.checkouts),
    Bench("cpu", 50, cpu.cpu),
    Bench("webhook", 50, webhook.webhook),
    Bench("dashboard", 15, dashboard.dashboard),
    Bench("memory", 230, memory.memory),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.list:
        for bench in BENCHES:
            print(f"{bench.name:<12}{bench.what}")
        return 0
    # Whatever ends the run, the servers and the gigabytes of databases go with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [bench for bench in BENCHES if bench.name in options.only]
    findings: list[Finding] = []
    try:
        for finding in _measure(chosen, QUICK if options.quick else Sizes()):
            findings.append(finding)
    except KeyboardInterrupt:
        return 130
    except ShortOfRoomError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        # What was measured before an error is worth something, too.
        if findings:
            say = (
                json_of(findings, _conditions()) if options.json else table_of(findings)
            )
            print(say)
    return 0


def _measure(chosen: Sequence[Bench], sizes: Sizes) -> Iterator[Finding]:
    progress = Progress(sum(bench.seconds for bench in chosen))
    try:
        with Stand(sizes, progress.say) as stand:
            for bench in chosen:
                progress.begin(bench.name)
                yield from bench.measure(stand)
                progress.end(bench.seconds)
    finally:
        progress.clear()


def _conditions() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def _parser() -> argparse.ArgumentParser:
    names = [bench.name for bench in BENCHES]
    parser = argparse.ArgumentParser(
        prog="./run.sh bench",
        description="Measure the shop. Every figure is a ratio to a floor that was"
        " measured in the same run, round by round in turn.",
        epilog="Ratios hold between machines about, figures do not. Leave the machine"
        " alone meanwhile.",
    )
    add = parser.add_argument
    add(
        "--only",
        nargs="+",
        metavar="NAME",
        choices=names,
        default=names,
        help=f"measure only these: {', '.join(names)}",
    )
    add("--quick", action="store_true", help="small figures, to see that it works")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--list", action="store_true", help="say what is measured, and do nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
