import pytest

from admin_dashboard.login.words import DUTCH, ENGLISH, words_for


@pytest.mark.parametrize(
    ("accept_language", "lang"),
    [
        ("", "nl"),
        ("nl", "nl"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("nl-NL,nl;q=0.9,en;q=0.8", "nl"),
        ("en;q=0.9,nl;q=0.8", "en"),
        ("de", "nl"),
        ("en;q=0", "nl"),
        ("en;q=x", "nl"),
    ],
)
def test_the_language_asked_for_most_is_spoken(accept_language: str, lang: str):
    assert words_for(accept_language)["lang"] == lang


def test_every_sentence_is_said_in_both_languages():
    assert DUTCH.keys() == ENGLISH.keys()
