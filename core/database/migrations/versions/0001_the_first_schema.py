"""The first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkout",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("visitor", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), server_default="", nullable=False),
        sa.Column(
            "status", sa.String(length=9), server_default="PENDING", nullable=False
        ),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("locale", sa.String(length=8), server_default="nl", nullable=False),
        sa.Column("notice", sa.Text(), server_default="", nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=True),
        sa.Column("stripe_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "awaits_payment",
            sa.Boolean(),
            server_default=sa.text("(false)"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'CANCELLED')",
            name=op.f("ck_checkout_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkout")),
        sa.UniqueConstraint(
            "idempotency_key", name=op.f("uq_checkout_idempotency_key")
        ),
        sa.UniqueConstraint(
            "stripe_session_id", name=op.f("uq_checkout_stripe_session_id")
        ),
    )
    with op.batch_alter_table("checkout", schema=None) as batch_op:
        batch_op.create_index(
            "ix_checkout_due",
            ["expires_at"],
            unique=False,
            postgresql_where=sa.text("status = 'PENDING'"),
            sqlite_where=sa.text("status = 'PENDING'"),
        )
        batch_op.create_index(
            "uq_checkout_open_visitor",
            ["visitor"],
            unique=True,
            postgresql_where=sa.text("status = 'PENDING' AND NOT awaits_payment"),
            sqlite_where=sa.text("status = 'PENDING' AND NOT awaits_payment"),
        )

    op.create_table(
        "owner",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owner")),
        sa.UniqueConstraint("email", name=op.f("uq_owner_email")),
    )
    op.create_table(
        "product",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("slug", sa.String(length=200), nullable=False),
        sa.Column("sku", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_cents", sa.Integer(), nullable=False),
        sa.Column(
            "currency", sa.String(length=3), server_default="eur", nullable=False
        ),
        sa.Column("vat_bp", sa.Integer(), server_default="2100", nullable=False),
        sa.Column("stock", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reserved", sa.Integer(), server_default="0", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("vendor", sa.Text(), server_default="", nullable=False),
        sa.Column("tags", sa.Text(), server_default="", nullable=False),
        sa.Column("image", sa.Text(), server_default="", nullable=False),
        sa.Column("image_alt", sa.Text(), server_default="", nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("option_names", sa.Text(), server_default="", nullable=False),
        sa.Column("option_values", sa.Text(), server_default="", nullable=False),
        sa.Column("imported_quantity", sa.Integer(), nullable=True),
        sa.Column(
            "is_listed", sa.Boolean(), server_default=sa.text("(true)"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "price_cents >= 0", name=op.f("ck_product_price_not_negative")
        ),
        sa.CheckConstraint(
            "reserved <= stock", name=op.f("ck_product_reserved_within_stock")
        ),
        sa.CheckConstraint(
            "reserved >= 0", name=op.f("ck_product_reserved_not_negative")
        ),
        sa.CheckConstraint("stock >= 0", name=op.f("ck_product_stock_not_negative")),
        sa.CheckConstraint(
            "vat_bp BETWEEN 0 AND 10000", name=op.f("ck_product_vat_is_a_rate")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint(
            "handle", "option_values", name=op.f("uq_product_handle_option_values")
        ),
        sa.UniqueConstraint("slug", name=op.f("uq_product_slug")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "stripe_event",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_event")),
    )
    op.create_table(
        "orders",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "checkout_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=False),
        sa.Column("payment_intent", sa.String(length=255), nullable=True),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=9), server_default="PAID", nullable=False),
        sa.Column(
            "was_late", sa.Boolean(), server_default=sa.text("(false)"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("promised_currency", sa.String(length=3), nullable=False),
        sa.Column("promised_cents", sa.BigInteger(), nullable=False),
        sa.Column("customer_name", sa.Text(), server_default="", nullable=False),
        sa.Column("customer_email", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('PAID', 'REVIEW', 'FULFILLED', 'REFUNDED')",
            name=op.f("ck_orders_status"),
        ),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_orders_checkout_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("checkout_id", name=op.f("uq_orders_checkout_id")),
        sa.UniqueConstraint(
            "stripe_session_id", name=op.f("uq_orders_stripe_session_id")
        ),
        sa.UniqueConstraint("token", name=op.f("uq_orders_token")),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_orders_created_at"), ["created_at"], unique=False
        )

    op.create_table(
        "refund",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "checkout_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=False),
        sa.Column("payment_intent", sa.String(length=255), nullable=False),
        sa.Column("stripe_refund_id", sa.String(length=255), nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "status", sa.String(length=9), server_default="REQUESTED", nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('REQUESTED', 'DONE', 'FAILED')", name=op.f("ck_refund_status")
        ),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_refund_checkout_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint(
            "stripe_session_id", name=op.f("uq_refund_stripe_session_id")
        ),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_refund_checkout_id"), ["checkout_id"], unique=False
        )
        batch_op.create_index(
            "ix_refund_open",
            ["created_at"],
            unique=False,
            postgresql_where=sa.text("status = 'REQUESTED'"),
            sqlite_where=sa.text("status = 'REQUESTED'"),
        )

    op.create_table(
        "stock_reservation",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "checkout_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "product_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_cents", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("vat_bp", sa.Integer(), nullable=False),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "status", sa.String(length=9), server_default="PENDING", nullable=False
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'CANCELLED')",
            name=op.f("ck_stock_reservation_status"),
        ),
        sa.CheckConstraint(
            "quantity > 0", name=op.f("ck_stock_reservation_quantity_over_zero")
        ),
        sa.ForeignKeyConstraint(
            ["checkout_id"],
            ["checkout.id"],
            name=op.f("fk_stock_reservation_checkout_id"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_reservation_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_reservation")),
        sa.UniqueConstraint(
            "checkout_id",
            "product_id",
            name=op.f("uq_stock_reservation_checkout_id_product_id"),
        ),
    )
    with op.batch_alter_table("stock_reservation", schema=None) as batch_op:
        batch_op.create_index(
            "ix_stock_reservation_held",
            ["product_id", "expires_at"],
            unique=False,
            postgresql_where=sa.text("status = 'PENDING'"),
            sqlite_where=sa.text("status = 'PENDING'"),
        )

    op.create_table(
        "order_line",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "order_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "product_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_cents", sa.Integer(), nullable=False),
        sa.Column("vat_bp", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "quantity > 0", name=op.f("ck_order_line_quantity_over_zero")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_order_line_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_order_line_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_line")),
        sa.UniqueConstraint(
            "order_id", "product_id", name=op.f("uq_order_line_order_id_product_id")
        ),
    )
    op.create_table(
        "stock_movement",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "product_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=8), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("who", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "order_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "reason IN ('received', 'sold', 'returned', 'adjusted')",
            name=op.f("ck_stock_movement_reason"),
        ),
        sa.CheckConstraint(
            "quantity <> 0", name=op.f("ck_stock_movement_quantity_not_zero")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_stock_movement_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_movement_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movement")),
    )
    with op.batch_alter_table("stock_movement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_stock_movement_product_id"), ["product_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("stock_movement", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stock_movement_product_id"))

    op.drop_table("stock_movement")
    op.drop_table("order_line")
    with op.batch_alter_table("stock_reservation", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_stock_reservation_held",
            postgresql_where=sa.text("status = 'PENDING'"),
            sqlite_where=sa.text("status = 'PENDING'"),
        )

    op.drop_table("stock_reservation")
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_refund_open",
            postgresql_where=sa.text("status = 'REQUESTED'"),
            sqlite_where=sa.text("status = 'REQUESTED'"),
        )
        batch_op.drop_index(batch_op.f("ix_refund_checkout_id"))

    op.drop_table("refund")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_orders_created_at"))

    op.drop_table("orders")
    op.drop_table("stripe_event")
    op.drop_table("product")
    op.drop_table("owner")
    with op.batch_alter_table("checkout", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_checkout_open_visitor",
            postgresql_where=sa.text("status = 'PENDING' AND NOT awaits_payment"),
            sqlite_where=sa.text("status = 'PENDING' AND NOT awaits_payment"),
        )
        batch_op.drop_index(
            "ix_checkout_due",
            postgresql_where=sa.text("status = 'PENDING'"),
            sqlite_where=sa.text("status = 'PENDING'"),
        )

    op.drop_table("checkout")
