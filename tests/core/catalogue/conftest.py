"""A way to import rows."""

from datetime import datetime

import pytest

from core.catalogue.importing import import_products
from core.catalogue.report import ImportReport
from core.database.engine import Database
from tests.core.catalogue.files import HEADER, Import


@pytest.fixture
def import_rows(database: Database, now: datetime) -> Import:
    """Give a function that imports rows under HEADER, or a whole file of bytes."""

    def import_rows(*rows: str, content: bytes | None = None) -> ImportReport:
        file = content or "\n".join([HEADER, *rows]).encode()
        return database.write(lambda session: import_products(session, file, now=now))

    return import_rows
