from pathlib import Path

import pytest

from core.config import Config
from scripts.serve import NO_ADDRESS, notes_on


@pytest.mark.parametrize(
    ("settings", "notes"),
    [
        ({}, ()),
        ({"SHOP_URL": "http://localhost:8000"}, ()),
        ({"SHOP_URL": "https://shop.example"}, NO_ADDRESS),
        ({"SHOP_URL": "https://shop.example", "MAX_HOLDS_PER_ADDRESS": "9"}, ()),
    ],
)
def test_the_start_of_a_public_shop_says_whom_the_limits_do_not_count(
    settings: dict[str, str], notes: tuple[str, ...], tmp_path: Path
) -> None:
    config = Config.from_env({"DATA_DIR": str(tmp_path), **settings})

    assert notes_on(config) == notes
