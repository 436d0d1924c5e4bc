"""Every table, for migrations and copies."""

# Importing a module adds its tables to the metadata.
from core.models import limits, mail, orders, owner, records, refunds, stock  # noqa: F401
from core.models.base import Base

METADATA = Base.metadata
TABLES = METADATA.sorted_tables  # referenced tables come first
