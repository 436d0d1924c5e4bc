import pytest

from core.models.records import TO_DO_KINDS
from core.owner.to_do_words import DISPUTE_ENDS, WORDS


@pytest.mark.parametrize("locale", ["nl", "en"])
def test_there_are_words_for_every_kind_of_entry_and_end_of_a_dispute(locale: str):
    assert WORDS[locale].keys() == {*TO_DO_KINDS, *DISPUTE_ENDS}
