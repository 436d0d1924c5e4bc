import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from core import __version__
from core.config import Config
from storefront import create_app

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"\./run\.sh(?: +([a-z]+))?")
FLASK_COMMAND = re.compile(r"\./run\.sh flask ([a-z][a-z-]*)")
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"var"}
FILE = re.compile(r"[\w./-]+\.(?:py|md|sh|svg|png|toml|cfg|lock|html|csv)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def heading_id(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {heading_id(heading) for heading in headings}


def is_file_name(words: str) -> bool:
    """Tell whether *words* in a document name a file of ours, not one of a user's."""
    return bool(FILE.fullmatch(words)) and words.split("/")[0] in FOLDERS


documents = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


@documents
def test_every_link_leads_somewhere(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text()) if ":" not in link]
    broken = []
    for link in links:
        place, _, anchor = link.partition("#")
        target = document.parent / place if place else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@documents
def test_every_file_and_folder_that_is_named_exists(document: Path) -> None:
    named = CODE.findall(document.read_text())
    files = {words for words in named if is_file_name(words)}
    files |= {words for words in named if re.fullmatch(r"[a-z_]+/", words)} - {"var/"}
    files = {words for words in files if not (ROOT / "core" / words).exists()}

    assert {words for words in files if not (ROOT / words).exists()} == set()


@documents
def test_every_command_that_is_named_is_one(document: Path) -> None:
    named = {command for command in COMMAND.findall(document.read_text()) if command}
    usage = subprocess.run(
        [ROOT / "run.sh", "help"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"^  ([a-z]+) ", usage, re.MULTILINE))

    assert named <= known


@documents
def test_every_flask_command_that_is_named_is_one(
    document: Path, tmp_path: Path
) -> None:
    app = create_app(Config.from_env({"DATA_DIR": str(tmp_path)}))

    named = set(FLASK_COMMAND.findall(document.read_text()))

    assert named <= app.cli.commands.keys()


class Asked(Mapping[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self, present: dict[str, str]) -> None:
        self.present = present
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self.present[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.present)

    def __len__(self) -> int:
        return len(self.present)


def test_the_readme_lists_every_setting_and_no_other(tmp_path: Path) -> None:
    environ = Asked({"DATA_DIR": str(tmp_path)})
    Config.from_env(environ)
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)

    listed = {name for cell in cells for name in CODE.findall(cell)}

    # How many workers there are is gunicorn's business alone.
    assert listed == environ.names | {"WEB_CONCURRENCY"}


def test_the_changelog_tells_of_this_version() -> None:
    versions = re.findall(
        r"^## \[?([0-9.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert versions[0] == __version__
    assert project["version"] == __version__
