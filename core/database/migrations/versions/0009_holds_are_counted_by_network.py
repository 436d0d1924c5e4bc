"""Holds are counted by network and have a kind"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)
# Name, condition and columns of the partial indexes.
INDEXES = (
    ("ix_checkout_network", "status = 'PENDING' AND network <> ''", ["network"]),
    ("ix_checkout_waiting", "status = 'PENDING' AND awaits_payment", ["visitor"]),
    (
        "ix_checkout_ended_network",
        "closed_at IS NOT NULL AND network <> ''",
        ["network", "closed_at"],
    ),
    (
        "ix_checkout_ended_visitor",
        "closed_at IS NOT NULL AND network <> ''",
        ["visitor", "closed_at"],
    ),
)


def upgrade() -> None:
    # Nobody's address is needed any more; what is held now ends within minutes.
    op.execute("UPDATE checkout SET address = ''")
    # Written out: Alembic would make the table of SQLite anew, and others refer to it.
    op.execute("ALTER TABLE checkout RENAME COLUMN address TO network")
    op.execute(
        "ALTER TABLE checkout ADD COLUMN kind VARCHAR(8) DEFAULT 'CUSTOMER' NOT NULL"
        " CONSTRAINT ck_checkout_kind CHECK (kind IN ('CUSTOMER', 'OWNER'))"
    )
    op.add_column("checkout", sa.Column("held_since", Moment, nullable=True))
    op.add_column(
        "checkout",
        sa.Column("is_unpaid", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    for name, condition, columns in INDEXES:
        which = sa.text(condition)
        op.create_index(
            name, "checkout", columns, postgresql_where=which, sqlite_where=which
        )
    _make_counts()


def _make_counts() -> None:
    op.create_table(
        "checkout_try",
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("minute", Moment, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("network", "minute", name=op.f("pk_checkout_try")),
    )
    op.create_index("ix_checkout_try_minute", "checkout_try", ["minute"])
    op.create_table(
        "refused_checkout",
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("hour", Moment, nullable=False),
        sa.Column("reason", sa.String(8), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment, nullable=False),
        sa.CheckConstraint(
            "reason IN ('VISITOR', 'NETWORK', 'SHARE', 'UNPAID')",
            name=op.f("ck_refused_checkout_reason"),
        ),
        sa.PrimaryKeyConstraint(
            "network", "hour", "reason", name=op.f("pk_refused_checkout")
        ),
    )
    op.create_index("ix_refused_checkout_hour", "refused_checkout", ["hour"])


def downgrade() -> None:
    op.drop_table("refused_checkout")
    op.drop_table("checkout_try")
    for name, _, _ in INDEXES:
        op.drop_index(name, table_name="checkout")
    for column in ("is_unpaid", "held_since", "kind"):
        op.execute(f"ALTER TABLE checkout DROP COLUMN {column}")
    op.execute("ALTER TABLE checkout RENAME COLUMN network TO address")
