"""What workflows work with."""

from dataclasses import dataclass, field

from core.clock import Clock, utcnow
from core.config import Config
from core.database.engine import Database, connect
from core.offers import Offers
from core.payments.gateway import StripeGateway


@dataclass(frozen=True)
class Shop:
    """A database, Stripe, a clock and the settings; safe to share between threads."""

    database: Database
    gateway: StripeGateway
    config: Config
    clock: Clock = utcnow
    offers: Offers = field(default_factory=Offers)

    @classmethod
    def open(cls, config: Config, *, on: Database | None = None) -> "Shop":
        """Put a shop together from its settings, *on* a database if one is open."""
        return cls(
            database=on or connect(config.database_url),
            gateway=StripeGateway(
                config.stripe_secret_key,
                config.stripe_webhook_secret,
                config.stripe_api_base,
            ),
            config=config,
        )
