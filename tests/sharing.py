"""Which worker runs which test, where several share the work."""

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER_SHOP = "the shop that customers visit in a browser"
# The tests of these files share servers that take seconds to start. pytest-xdist has a
# mark for it, which takes no effect with pytest 9.2.
TOGETHER = {
    "tests/admin_dashboard/test_gate.py": "",
    "tests/admin_dashboard/test_in_browser.py": "",
    "tests/admin_dashboard/test_refund_in_browser.py": "",
    "tests/deployment/test_keeping_data.py": "",
    "tests/deployment/test_own_databases.py": "",
    "tests/deployment/test_pgbouncer.py": "",
    "tests/end_to_end/test_accessibility.py": BROWSER_SHOP,
    "tests/end_to_end/test_buying.py": BROWSER_SHOP,
    "tests/end_to_end/test_holds.py": BROWSER_SHOP,
    "tests/end_to_end/test_import_and_buy.py": BROWSER_SHOP,
    "tests/end_to_end/test_run.py": "",
    "tests/end_to_end/test_several_processes.py": "",
}
# Nobody has to wait at the end for one that waits.
SLOW_UNTIL = 0.75


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # no type information
    """Gives a test to whoever is free, and those that share a server to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return TOGETHER.get(file, nodeid) or file


def spread(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Put the slow ones, which wait, evenly between the others, which work."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    step = len(quick) * SLOW_UNTIL / max(1, len(slow))
    places = {id(item): float(number) for number, item in enumerate(quick)}
    places |= {id(item): number * step for number, item in enumerate(slow)}
    return sorted(items, key=lambda item: places[id(item)])
