"""
Check the lock files: no address of a registry in them, and no dependency missing.

It uses no network, so it does not look for newer versions.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
NAME = re.compile(r"^[A-Za-z0-9._-]+")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> set[tuple[str, str]]:
    return {(normal(name), version) for name, version in PIN.findall(lock.read_text())}


def names(requirements: list[str]) -> set[str]:
    found = (NAME.match(requirement) for requirement in requirements)
    return {normal(match.group()) for match in found if match}


def unlocked(requirements: list[str], lock: Path) -> list[str]:
    missing = names(requirements) - {name for name, _ in pins(lock)}
    return [f"{lock.name} lacks {name}: lock again." for name in sorted(missing)]


def findings() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, dev = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
    addresses = [
        f"{lock.name} names an address: {line.strip()}"
        for lock in sorted(ROOT.glob("requirements*.lock"))
        for line in lock.read_text().splitlines()
        if re.search(r"https?:", line)
    ]
    apart = sorted(pins(runtime) - pins(dev))
    return [
        *addresses,
        *unlocked(project["project"]["dependencies"], runtime),
        *unlocked(project["dependency-groups"]["dev"], dev),
        *(
            f"{dev.name} lacks {name}=={version}, which the shop has."
            for name, version in apart
        ),
    ]


if __name__ == "__main__":
    problems = findings()
    print("\n".join(problems) or "The lock files are in order.")
    sys.exit(1 if problems else 0)
