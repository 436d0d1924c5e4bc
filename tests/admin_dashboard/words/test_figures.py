import pytest

from admin_dashboard.words import figures
from core.owner.reports import MOST_COUNTED


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (MOST_COUNTED, "1.000"),
        (MOST_COUNTED + 1, "meer dan 1.000"),
    ],
)
def test_what_was_not_counted_to_the_end_is_told_so(count: int, text: str) -> None:
    assert figures.counted(count) == text


@pytest.mark.parametrize(
    ("typed", "cents"),
    [
        ("12,34", 1234),
        ("12.34", 1234),
        ("12,3", 1230),
        ("12", 1200),
        ("0,05", 5),
        (" € 12,50 ", 1250),
        ("1.234,50", 123450),
        ("1234,50", 123450),
        ("1.234", None),
        ("1,234.50", None),
        ("12,345", None),
        ("-1", None),
        ("1e3", None),
        ("\N{ARABIC-INDIC DIGIT ONE}", None),
        ("", None),
        ("9" * 30, None),
    ],
)
def test_an_amount_is_read_exactly_or_not_at_all(typed: str, cents: int | None) -> None:
    assert figures.cents_of(typed) == cents


@pytest.mark.parametrize("cents", [1, 99, 100, 1234, 123_456_789])
def test_an_amount_is_typed_as_it_is_read(cents: int) -> None:
    assert figures.cents_of(figures.typed_amount(cents)) == cents
