"""Products, and the VAT that they have by default."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Numbered


class Product(Numbered):
    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        CheckConstraint("reserved >= 0", name="reserved_not_negative"),
        CheckConstraint("reserved <= stock", name="reserved_within_stock"),
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        CheckConstraint("vat_bp BETWEEN 0 AND 10000", name="vat_is_a_rate"),
        CheckConstraint(
            "chosen_vat_bp BETWEEN 0 AND 10000", name="chosen_vat_is_a_rate"
        ),
        UniqueConstraint("handle", "option_values"),
        # Stock and reserved change all the time; free space on a page keeps that cheap.
        {"postgresql_with": {"fillfactor": 50}},
    )

    slug: Mapped[str] = mapped_column(String(200), unique=True)
    sku: Mapped[str] = mapped_column(server_default="")
    barcode: Mapped[str] = mapped_column(server_default="")
    grams: Mapped[str] = mapped_column(server_default="")
    weight_unit: Mapped[str] = mapped_column(server_default="")
    name: Mapped[str]
    price_cents: Mapped[int]
    compare_at_cents: Mapped[int | None]
    currency: Mapped[str] = mapped_column(String(3), server_default="eur")
    # What a sale is taxed by: the chosen rate, else the shop's; 0 in an exempt shop.
    vat_bp: Mapped[int] = mapped_column(server_default="2100")
    chosen_vat_bp: Mapped[int | None]
    stock: Mapped[int] = mapped_column(server_default="0")
    reserved: Mapped[int] = mapped_column(server_default="0")
    description: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str] = mapped_column(server_default="")
    vendor: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[str] = mapped_column(server_default="")
    image: Mapped[str] = mapped_column(server_default="")
    image_alt: Mapped[str] = mapped_column(server_default="")
    handle: Mapped[str]
    title: Mapped[str]
    option_names: Mapped[str] = mapped_column(server_default="")
    option_values: Mapped[str] = mapped_column(server_default="")
    # As Shopify has them: kept for the way back, the shop does not go by them.
    tracker: Mapped[str] = mapped_column(server_default="shopify")
    policy: Mapped[str] = mapped_column(server_default="deny")
    requires_shipping: Mapped[bool] = mapped_column(server_default=text("true"))
    # The stock by product files alone: a file that is imported again after a sale does
    # not bring the sold units back.
    imported_quantity: Mapped[int | None]
    is_listed: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime]


class VatSetting(Numbered):
    """
    The settings of VAT by which the products have their rates; one row, number 1.

    Kept here because a command may run with other settings than the shop.
    """

    __tablename__ = "vat_setting"

    default_bp: Mapped[int]
    is_exempt: Mapped[bool]
