import re
from collections.abc import Iterator

from core.database import locks
from tests.test_architecture import PACKAGES, ROOT

LOCK = re.compile(r"advisory\w*lock\w*\(\s*([^\s,)]+)")
KEYS = {name: key for name, key in vars(locks).items() if name.endswith("_KEY")}


def test_no_two_locks_have_one_key() -> None:
    assert len({*KEYS.values()}) == len(KEYS) > 0


def keys_in_use() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            yield from LOCK.findall(path.read_text())


def test_every_lock_has_a_key_of_the_list() -> None:
    assert {*keys_in_use()} == {*KEYS}
