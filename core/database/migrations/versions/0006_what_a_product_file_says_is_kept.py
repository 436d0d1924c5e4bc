"""What a product file says is kept"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# With what exports said of every product before.
TEXTS = {
    "barcode": "",
    "grams": "",
    "weight_unit": "",
    "tracker": "shopify",
    "policy": "deny",
}


def upgrade() -> None:
    op.create_table(
        "vat_setting",
        sa.Column("id", Id, nullable=False),
        sa.Column("default_bp", sa.Integer(), nullable=False),
        sa.Column("is_exempt", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vat_setting")),
    )
    # Column by column: SQLite would have to write a table again that others refer to.
    op.execute(
        "ALTER TABLE product ADD COLUMN chosen_vat_bp INTEGER"
        " CONSTRAINT ck_product_chosen_vat_is_a_rate"
        " CHECK (chosen_vat_bp BETWEEN 0 AND 10000)"
    )
    for name, default in TEXTS.items():
        op.add_column(
            "product",
            sa.Column(name, sa.Text(), server_default=default, nullable=False),
        )
    op.add_column("product", sa.Column("compare_at_cents", sa.Integer()))
    op.add_column(
        "product",
        sa.Column(
            "requires_shipping",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
        ),
    )
    # Nothing in the shop set a rate: another one than 21 % was set by hand.
    op.execute("UPDATE product SET chosen_vat_bp = vat_bp WHERE vat_bp <> 2100")


def downgrade() -> None:
    raise NotImplementedError(
        "restore the backup: what product files said has no place before"
    )
