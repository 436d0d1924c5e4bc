"""That the watcher of a run sees what a look at its end does not."""

import pytest

from core.database.engine import Database
from tests.concurrency.watcher import Watcher
from tests.factories import add_product, assert_invariants, change, eventually

pytestmark = pytest.mark.slow


def test_drift_that_is_gone_at_the_end_was_seen(
    database: Database, database_url: str
) -> None:
    mug = add_product(database, stock_units=5)

    with Watcher(database_url, seconds=0.01) as watcher:
        change(database, mug, reserved=1)
        eventually(lambda: watcher.findings)
        change(database, mug, reserved=0)

    assert_invariants(database)
    assert {finding.kind for finding in watcher.findings} == {"reserved"}


def test_a_look_that_fails_is_an_error(database: Database, database_url: str) -> None:
    def watch() -> None:
        with Watcher(database_url, seconds=0.01) as watcher:
            with database.engine.begin() as connection:
                connection.exec_driver_sql("DROP TABLE sales_day")
            eventually(lambda: watcher.has_ended)

    with pytest.raises(Exception, match="sales_day"):
        watch()
