"""When reconcile finished is not kept: nothing read it"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("reconciled", schema=None) as batch_op:
        batch_op.drop_column("finished_at")


def downgrade() -> None:
    with op.batch_alter_table("reconciled", schema=None) as batch_op:
        batch_op.add_column(sa.Column("finished_at", sa.DateTime(timezone=True)))
