"""
VAT: what a product file chooses for a product, and what the shop's setting makes of it.

A rate that nobody chose is the setting's, and changes with it. What is reserved or sold
keeps the rate that it was reserved with.
"""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, literal, select, update
from sqlalchemy.orm import Session

from core.catalogue import cells
from core.catalogue.faults import Fault
from core.catalogue.product_table import Record
from core.config import Vat, basis_points
from core.database.engine import is_postgresql
from core.database.locks import IMPORT_KEY
from core.database.rows import insert_once
from core.models.catalogue import Product, VatSetting

# In a file: the shop's rate, where the first variant has one of its own.
DEFAULT = "default"
ONLY_ROW = 1


@dataclass(frozen=True)
class Choice:
    """
    The rate that a row chooses in basis points, None for the shop's.

    A row that *is_said* nothing may still say that there is VAT: *is_taxed*.
    """

    rate_bp: int | None
    is_said: bool
    is_taxed: bool

    def instead_of(self, before_bp: int | None) -> int | None:
        """Return the rate of a product that had chosen *before_bp*."""
        if self.is_said:
            return self.rate_bp
        return None if self.is_taxed and before_bp == 0 else before_bp


def of_shop(session: Session) -> Vat:
    """Return the settings by which the products have their rates."""
    kept = session.get(VatSetting, ONLY_ROW)
    return Vat(kept.default_bp, kept.is_exempt) if kept else Vat()


def keep(session: Session, vat: Vat) -> int:
    """
    Make *vat* the shop's; return how many products have another rate by that.

    A rule, safe to repeat: the second time it changes nothing.
    """
    if is_postgresql(session):
        # An import at the same time would use the settings of before.
        session.execute(select(func.pg_advisory_xact_lock(IMPORT_KEY)))
    values = {"default_bp": vat.default_bp, "is_exempt": vat.is_exempt}
    insert_once(session, VatSetting, {"id": ONLY_ROW, **values})
    session.execute(update(VatSetting).values(**values))
    rate = func.coalesce(Product.chosen_vat_bp, literal(vat.default_bp))
    target = literal(0) if vat.is_exempt else rate
    # In ascending id, as everywhere: a single statement does not sort by itself.
    ordered = select(Product.id).where(Product.vat_bp != target).order_by(Product.id)
    taken = ordered.with_for_update(key_share=True).cte("taken")
    changed = update(Product).where(Product.id.in_(select(taken.c.id)))
    done = session.scalars(changed.values(vat_bp=target).returning(Product.id)).all()
    session.expire_all()
    return len(done)


def chosen(record: Record, first: Record) -> Choice:
    """
    Return what a row chooses.

    A blank cell means what the first row of the handle says. "Variant Taxable" alone
    can say that there is no VAT, but not which there is.
    """
    is_taxed = _is_taxed(record)
    if record.text("vat"):
        rate = _rate(record)
        if is_taxed is False and rate != 0:
            record.refuse("vat", Fault.TAXED_AND_NOT)
        return Choice(rate, is_said=True, is_taxed=bool(rate))
    if is_taxed is False:
        return Choice(0, is_said=True, is_taxed=False)
    inherited = _rate(first) if first.text("vat") else None
    if is_taxed is None and not first.text("vat") and _is_taxed(first) is False:
        inherited = 0
    if is_taxed and inherited == 0:
        inherited = None
    is_said = inherited is not None or "vat" in record.header.positions
    return Choice(inherited, is_said, is_taxed=is_taxed is True)


def text_of(rate_bp: int | None) -> str:
    """Return a rate as product files write it: 21 or 9.5; blank for the shop's."""
    return "" if rate_bp is None else f"{Decimal(rate_bp) / 100:f}"


def _rate(record: Record) -> int | None:
    text = record.text("vat")
    if text.casefold() in (DEFAULT, "standaard"):
        return None
    rate = basis_points(text)
    if rate is None:
        record.refuse("vat", Fault.NO_RATE, text=text)
    return rate


def _is_taxed(record: Record) -> bool | None:
    return cells.choice(record, "taxable", cells.YES_OR_NO)
