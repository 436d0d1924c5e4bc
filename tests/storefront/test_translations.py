import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from babel.messages import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("nl",)


def folder_of(language: str, root: Path = ROOT) -> Path:
    return root / "storefront" / "translations" / language / "LC_MESSAGES"


@pytest.fixture(params=LANGUAGES)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    with (folder_of(request.param) / "messages.po").open("rb") as file:
        return read_po(file, locale=request.param)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the storefront, whose translations may be changed."""
    shutil.copytree(ROOT / "storefront", tmp_path / "storefront")
    shutil.copy(ROOT / "babel.cfg", tmp_path)
    return tmp_path


def texts(message: Message) -> list[str]:
    """Return what a message is translated to: two texts when it counts something."""
    found = message.string
    return [found] if isinstance(found, str) else list(found or [""])


def shown(messages: Iterable[Message]) -> list[str]:
    """Return the messages by their ids, without the header, which has none."""
    ids = (
        message.id if isinstance(message.id, str) else message.id[0]
        for message in messages
    )
    return sorted(filter(None, ids))


def pybabel(*words: str) -> None:
    CommandLineInterface().run(["pybabel", "--quiet", *words])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_in_the_code_is_in_the_translations(
    copy: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.chdir(copy)
    options = ["--no-location", "--sort-output", "-k", "lazy_gettext"]
    pybabel("extract", "-F", "babel.cfg", *options, "-o", "all.pot", "storefront")

    with Path("all.pot").open("rb") as file:
        in_the_code = shown(read_po(file))
    with (folder_of(language) / "messages.po").open("rb") as file:
        assert in_the_code == shown(read_po(file, locale=language))
    # Ends with an error when they are not written as they would be now.
    pybabel(
        *("update", "-i", "all.pot", "-d", "storefront/translations", "-l", language),
        *("--no-fuzzy-matching", "--ignore-pot-creation-date", "--check"),
    )


def test_every_text_is_translated(catalogue: Catalog) -> None:
    empty = [message for message in catalogue if message.id and not all(texts(message))]

    assert shown(empty) == []


def test_no_translation_is_a_guess(catalogue: Catalog) -> None:
    assert shown([message for message in catalogue if message.fuzzy]) == []


def test_no_translation_is_left_of_a_text_that_is_gone(catalogue: Catalog) -> None:
    assert list(catalogue.obsolete) == []


def test_every_translation_says_what_its_text_says(catalogue: Catalog) -> None:
    wrong = {
        str(message.id): [str(error) for error in errors]
        for message, errors in catalogue.check()
    }

    assert wrong == {}


def test_the_translations_compile(catalogue: Catalog, tmp_path: Path) -> None:
    with (tmp_path / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)
    with (tmp_path / "messages.mo").open("rb") as file:
        compiled = read_mo(file)

    assert len(compiled) == len(catalogue)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_shop_speaks_is_what_was_translated(
    catalogue: Catalog, language: str
) -> None:
    with (folder_of(language) / "messages.mo").open("rb") as file:
        spoken = read_mo(file)

    assert shown(spoken) == shown(catalogue)


@pytest.mark.parametrize(
    "stumbling",
    [
        *("betaalbedrijf", "betaalwijze", "even gereserveerd voor", "Je vroeg"),
        *("vastgehouden", "Vanaf dan", "Verder kijken", "Opnieuw kijken"),
        *("Hier is niets", "Dat kan hier niet", "iets te vaak", "Dat mag niet"),
        *(
            "je had hem zelf",
            "Gemaakt door",
            "geld is onderweg",
            "betaling is onderweg",
        ),
        *("al zoveel in je winkelwagen", "minder dan je vraagt", "de laatste verkocht"),
    ],
)
def test_words_over_which_dutch_readers_stumbled_do_not_come_back(
    stumbling: str,
) -> None:
    texts = (folder_of("nl") / "messages.po").read_text().replace('"\n"', "")

    assert stumbling not in texts
