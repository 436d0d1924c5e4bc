from core.database import locks


def test_no_two_locks_have_one_key() -> None:
    keys = [number for name, number in vars(locks).items() if name.endswith("_KEY")]

    assert len({*keys}) == len(keys) == 3
