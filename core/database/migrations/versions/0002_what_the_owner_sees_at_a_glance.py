"""What the owner sees at a glance costs the same however long the past is"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sales_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "currency", name=op.f("pk_sales_day")),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index(
            "ix_orders_to_review",
            ["created_at"],
            unique=False,
            postgresql_where=sa.text("status = 'REVIEW'"),
            sqlite_where=sa.text("status = 'REVIEW'"),
        )

    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index(
            "ix_refund_failed",
            ["created_at"],
            unique=False,
            postgresql_where=sa.text("status = 'FAILED'"),
            sqlite_where=sa.text("status = 'FAILED'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_refund_failed",
            postgresql_where=sa.text("status = 'FAILED'"),
            sqlite_where=sa.text("status = 'FAILED'"),
        )

    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_orders_to_review",
            postgresql_where=sa.text("status = 'REVIEW'"),
            sqlite_where=sa.text("status = 'REVIEW'"),
        )

    op.drop_table("sales_day")
