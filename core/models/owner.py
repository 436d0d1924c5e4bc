"""Who may open the dashboard."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Numbered


class Owner(Numbered):
    """Somebody who may open the dashboard."""

    __tablename__ = "owner"

    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str]
    created_at: Mapped[datetime]
