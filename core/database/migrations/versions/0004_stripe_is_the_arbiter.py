"""Stripe is the arbiter: offers, refunds, disputes, to-dos, mail, steps"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Moment = sa.DateTime(timezone=True)

MONEY = ("discount_cents", "shipping_cents", "tax_cents")
WORDS = (
    "promotion_code",
    "shipping_option",
    "customer_phone",
    "shipping_name",
    "shipping_address",
    "billing_address",
)


def upgrade() -> None:
    _make_new_tables()
    _widen_checkout_and_orders()
    _widen_events()
    _make_refunds_again()
    _enter_what_is_open()
    _make_outbox()


def _make_new_tables() -> None:
    op.create_table(
        "offer",
        sa.Column("id", Id, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
        sa.UniqueConstraint("content", name=op.f("uq_offer_content")),
    )
    op.create_table(
        "reconciled",
        sa.Column("id", Id, nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.Column("looked_back_at", Moment, nullable=False),
        sa.Column("look_on_after", sa.Text(), server_default="", nullable=False),
        sa.Column("taken_until", Moment, nullable=False),
        sa.Column("finished_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciled")),
    )
    op.create_table(
        "checkout_step",
        sa.Column("id", Id, nullable=False),
        sa.Column("checkout_id", Id, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("who", sa.Text(), server_default="", nullable=False),
        sa.Column("stripe_id", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_checkout_step_checkout_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkout_step")),
    )
    with op.batch_alter_table("checkout_step", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_checkout_step_checkout_id"), ["checkout_id"], unique=False
        )

    op.create_table(
        "dispute",
        sa.Column("id", Id, nullable=False),
        sa.Column("stripe_dispute_id", sa.String(length=255), nullable=False),
        sa.Column("payment_intent", sa.String(length=255), nullable=False),
        sa.Column("checkout_id", Id, nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("due_by", Moment, nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_dispute_checkout_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
        sa.UniqueConstraint(
            "stripe_dispute_id", name=op.f("uq_dispute_stripe_dispute_id")
        ),
    )
    with op.batch_alter_table("dispute", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_dispute_checkout_id"), ["checkout_id"], unique=False
        )

    op.create_table(
        "to_do",
        sa.Column("id", Id, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("checkout_id", Id, nullable=True),
        sa.Column("stripe_id", sa.Text(), server_default="", nullable=False),
        sa.Column("payment_intent", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "currency", sa.String(length=3), server_default="eur", nullable=False
        ),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("done_at", Moment, nullable=True),
        sa.Column("done_by", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "kind IN ('AMOUNT', 'TOO_LATE', 'PAID_TWICE', 'REFUND_FAILED',"
            " 'REFUND_WAITS', 'RESTOCK', 'DISPUTED', 'UNKNOWN_SESSION')",
            name=op.f("ck_to_do_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_to_do_checkout_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_to_do")),
        sa.UniqueConstraint("key", name=op.f("uq_to_do_key")),
    )
    with op.batch_alter_table("to_do", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_to_do_checkout_id"), ["checkout_id"], unique=False
        )
        batch_op.create_index(
            "ix_to_do_open",
            ["created_at"],
            unique=False,
            postgresql_where=sa.text("done_at IS NULL"),
            sqlite_where=sa.text("done_at IS NULL"),
        )


def _widen_checkout_and_orders() -> None:
    # Column by column: SQLite would have to write tables again that others refer to.
    op.add_column("checkout", sa.Column("offer_id", sa.Integer()))
    op.add_column("checkout", sa.Column("session_at", Moment))
    for name in MONEY:
        op.add_column(
            "orders",
            sa.Column(name, sa.BigInteger(), server_default="0", nullable=False),
        )
    op.execute(
        "ALTER TABLE orders ADD COLUMN refunded_cents BIGINT DEFAULT 0 NOT NULL"
        " CONSTRAINT ck_orders_refunded_within_amount"
        " CHECK (refunded_cents BETWEEN 0 AND amount_cents)"
    )
    for name in WORDS:
        op.add_column(
            "orders", sa.Column(name, sa.Text(), server_default="", nullable=False)
        )
    op.add_column("orders", sa.Column("fulfilled_at", Moment))
    op.create_index(op.f("ix_orders_payment_intent"), "orders", ["payment_intent"])
    op.execute(
        "ALTER TABLE order_line ADD COLUMN returned INTEGER DEFAULT 0 NOT NULL"
        " CONSTRAINT ck_order_line_returned_were_sold"
        " CHECK (returned BETWEEN 0 AND quantity)"
    )


def _widen_events() -> None:
    op.execute("ALTER TABLE stripe_event RENAME COLUMN stripe_session_id TO object_id")
    op.add_column(
        "stripe_event",
        sa.Column("effect", sa.String(255), server_default="", nullable=False),
    )
    # Of one fact there may be two events by now; each keeps a name of its own.
    op.execute("UPDATE stripe_event SET effect = id")
    op.create_index(
        "uq_stripe_event_effect", "stripe_event", ["object_id", "effect"], unique=True
    )


def _make_refunds_again() -> None:
    op.execute("CREATE TABLE refund_before AS SELECT * FROM refund")
    op.drop_table("refund")
    op.create_table(
        "refund",
        sa.Column("id", Id, nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("checkout_id", Id, nullable=False),
        sa.Column("order_id", Id),
        sa.Column("stripe_session_id", sa.String(255), nullable=False),
        sa.Column("payment_intent", sa.String(255), nullable=False),
        sa.Column("stripe_refund_id", sa.String(255)),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("status", sa.String(9), server_default="REQUESTED", nullable=False),
        sa.Column("cause", sa.String(9), server_default="AUTOMATIC", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("who", sa.Text(), server_default="", nullable=False),
        sa.Column("customer_email", sa.Text(), server_default="", nullable=False),
        sa.Column("failure", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("retry_at", Moment),
        sa.Column("done_at", Moment),
        sa.Column("failed_at", Moment),
        sa.CheckConstraint(
            "status IN ('REQUESTED', 'SENT', 'DONE', 'FAILED')",
            name=op.f("ck_refund_status"),
        ),
        sa.CheckConstraint(
            "cause IN ('AUTOMATIC', 'OWNER', 'STRIPE')", name=op.f("ck_refund_cause")
        ),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_refund_amount_over_zero")),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_refund_checkout_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_refund_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_refund_idempotency_key")),
        sa.UniqueConstraint(
            "stripe_refund_id", name=op.f("uq_refund_stripe_refund_id")
        ),
    )
    for column in ("checkout_id", "order_id", "stripe_session_id", "payment_intent"):
        op.create_index(op.f(f"ix_refund_{column}"), "refund", [column])
    is_open = sa.text("status = 'REQUESTED'")
    op.create_index(
        "ix_refund_open",
        "refund",
        ["created_at"],
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    # Of a payment that had gone back by hand Stripe's id was not always known.
    op.execute(
        "UPDATE refund_before SET stripe_refund_id = NULL"
        " WHERE stripe_refund_id = 'already refunded'"
    )
    kept = (
        "id, checkout_id, stripe_session_id, payment_intent, stripe_refund_id,"
        " amount_cents, currency, status, created_at, done_at"
    )
    op.execute(
        f"INSERT INTO refund ({kept}, idempotency_key) SELECT {kept},"  # noqa: S608
        " 'refund-' || stripe_session_id FROM refund_before"
    )
    op.execute(
        "UPDATE refund SET failed_at = done_at, done_at = NULL WHERE status = 'FAILED'"
    )
    op.drop_table("refund_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('refund', 'id'),"
            " coalesce(max(id), 0) + 1, false) FROM refund"
        )


def _enter_what_is_open() -> None:
    """What a person has to look at already gets an entry; nobody is mailed of it."""
    op.execute(
        "INSERT INTO to_do (key, kind, checkout_id, stripe_id, payment_intent,"
        " amount_cents, currency, created_at)"
        " SELECT 'amount-' || stripe_session_id, 'AMOUNT', checkout_id,"
        " stripe_session_id, coalesce(payment_intent, ''), amount_cents, currency,"
        " created_at FROM orders WHERE status = 'REVIEW'"
    )
    op.execute(
        "INSERT INTO to_do (key, kind, checkout_id, stripe_id, payment_intent,"
        " amount_cents, currency, created_at)"
        " SELECT 'refund-failed-' || id, 'REFUND_FAILED', checkout_id,"
        " coalesce(stripe_refund_id, ''), payment_intent, amount_cents, currency,"
        " created_at FROM refund WHERE status = 'FAILED'"
    )


def _make_outbox() -> None:
    op.create_table(
        "mail",
        sa.Column("id", Id, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("checkout_id", Id, nullable=True),
        sa.Column("refund_id", Id, nullable=True),
        sa.Column("to_do_id", Id, nullable=True),
        sa.Column("recipient", sa.Text(), server_default="", nullable=False),
        sa.Column("locale", sa.String(length=8), server_default="nl", nullable=False),
        sa.Column(
            "status", sa.String(length=7), server_default="READY", nullable=False
        ),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claim", sa.String(length=64), server_default="", nullable=False),
        sa.Column("due_at", Moment, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("sent_at", Moment, nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "kind IN ('ORDER', 'REFUND', 'OWED', 'GONE', 'TO_DO')",
            name=op.f("ck_mail_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('READY', 'SENDING', 'SENT', 'FAILED')",
            name=op.f("ck_mail_status"),
        ),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout.id"], name=op.f("fk_mail_checkout_id")
        ),
        sa.ForeignKeyConstraint(
            ["refund_id"], ["refund.id"], name=op.f("fk_mail_refund_id")
        ),
        sa.ForeignKeyConstraint(
            ["to_do_id"], ["to_do.id"], name=op.f("fk_mail_to_do_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
        sa.UniqueConstraint("key", name=op.f("uq_mail_key")),
    )
    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_mail_checkout_id"), ["checkout_id"], unique=False
        )
        batch_op.create_index(
            "ix_mail_due",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("status = 'READY'"),
            sqlite_where=sa.text("status = 'READY'"),
        )
        batch_op.create_index(
            "ix_mail_not_arrived",
            ["created_at"],
            unique=False,
            postgresql_where=sa.text("status IN ('SENDING', 'FAILED')"),
            sqlite_where=sa.text("status IN ('SENDING', 'FAILED')"),
        )


def downgrade() -> None:
    raise NotImplementedError(
        "restore the backup: what was refunded and mailed meanwhile has no place before"
    )
