"""The offers that payment pages were made with, each stored once."""

from collections.abc import Collection
from datetime import datetime
from weakref import WeakKeyDictionary

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database.engine import Database
from core.database.rows import insert_once
from core.models.checkout import Checkout, StoredOffer
from core.payments.offer import Offer


class Offers:
    """A cache of the ids of offers; thread-safe."""

    def __init__(self) -> None:
        self._ids: WeakKeyDictionary[Database, dict[Offer, int]] = WeakKeyDictionary()

    def id_of(self, database: Database, offer: Offer, *, now: datetime) -> int:
        """Return the id of *offer*, which is stored if it is new. Safe to repeat."""
        known = self._ids.setdefault(database, {})
        if offer not in known:
            known[offer] = database.write(lambda session: _keep(session, offer, now))
        return known[offer]


def _keep(session: Session, offer: Offer, now: datetime) -> int:
    content = offer.to_json()
    insert_once(session, StoredOffer, {"content": content, "created_at": now})
    query = select(StoredOffer.id).where(StoredOffer.content == content)
    return session.scalars(query).one()


def offer_of(session: Session, offer_id: int | None) -> Offer | None:
    """Return the offer of this id; None for a checkout older than offers."""
    stored = session.get(StoredOffer, offer_id) if offer_id is not None else None
    return Offer.from_json(stored.content) if stored is not None else None


def exempt_from_vat(session: Session, checkout_ids: Collection[int]) -> set[int]:
    """Return those of the checkouts that were made while the shop charged no VAT."""
    if not checkout_ids:
        return set()
    query = select(Checkout.id).join(StoredOffer, StoredOffer.id == Checkout.offer_id)
    is_exempt = StoredOffer.content.contains('"is_vat_exempt": true', autoescape=True)
    return set(session.scalars(query.where(Checkout.id.in_(checkout_ids), is_exempt)))
