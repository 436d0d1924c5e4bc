"""Holds are found by their deadline: an index that grows at one end keeps its pace"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IS_PENDING = sa.text("status = 'PENDING'")


def upgrade() -> None:
    with op.batch_alter_table("stock_reservation", schema=None) as batch_op:
        batch_op.drop_index("ix_stock_reservation_held")
        batch_op.create_index(
            "ix_stock_reservation_due",
            ["expires_at", "product_id"],
            unique=False,
            postgresql_where=IS_PENDING,
            sqlite_where=IS_PENDING,
        )


def downgrade() -> None:
    with op.batch_alter_table("stock_reservation", schema=None) as batch_op:
        batch_op.drop_index("ix_stock_reservation_due")
        batch_op.create_index(
            "ix_stock_reservation_held",
            ["product_id", "expires_at"],
            unique=False,
            postgresql_where=IS_PENDING,
            sqlite_where=IS_PENDING,
        )
