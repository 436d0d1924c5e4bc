import pytest

from admin_dashboard import words
from core.reports import MOST_COUNTED


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (MOST_COUNTED, "1.000"),
        (MOST_COUNTED + 1, "meer dan 1.000"),
    ],
)
def test_what_was_not_counted_to_the_end_is_told_so(count: int, text: str) -> None:
    assert words.counted(count) == text
