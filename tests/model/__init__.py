import pytest

# They assert, and are no test modules themselves.
pytest.register_assert_rewrite("tests.model.invariants")
