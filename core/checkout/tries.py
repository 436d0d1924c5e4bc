"""Tries to check out, counted for all processes together."""

from datetime import timedelta

from core.errors import TooManyTriesError
from core.shop import Shop
from core.stock import limits
from core.stock.networks import network_of


def count(shop: Shop, address: str) -> None:
    """
    Count a try to check out from *address*, refused or not.

    Raises TooManyTriesError when its network made more in this minute than the settings
    allow. Loopback addresses count, too.
    """
    most, now = shop.config.limits.checkouts_per_minute, shop.clock()
    network = network_of(address, counts_loopback=True)
    if not most or not network:
        return
    tries = shop.database.write(lambda s: limits.count_try(s, network, now=now))
    if tries > most:
        minute = now.replace(second=0, microsecond=0)
        raise TooManyTriesError(minute + timedelta(minutes=1))
