"""What the owner is told of an import, in the language of their terminal."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from flask_babel import force_locale, ngettext
from flask_babel import gettext as _
from werkzeug.security import safe_join

from core.catalogue.report import ImportReport, LeftOut, OddPrice, Renamed, Waiting
from storefront import language
from storefront.pages import is_elsewhere

# A longer list would hide the others.
MOST_LINES = 50


@contextmanager
def in_owners_language() -> Iterator[None]:
    """Speak Dutch where the terminal is Dutch, else English as other commands do."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    spoken = next(filter(None, map(os.environ.get, names)), "")
    with force_locale("nl" if spoken.lower().startswith("nl") else "en"):
        yield


def told(report: ImportReport) -> Iterator[str]:
    """Yield the lines that say what an import did, and what it left undone."""
    yield _(
        "%(created)s products created, %(updated)s updated, %(unchanged)s unchanged",
        created=report.created,
        updated=report.updated,
        unchanged=report.unchanged,
    )
    yield from _listed(_("Renamed:"), [_renamed(each) for each in report.renamed])
    yield from _listed(
        _("Left out by the file; they stay as they are:"),
        [_left_out(each) for each in report.left_out],
    )
    if report.waiting:
        yield from _listed(
            _("NOT taken in: these may be the goods that the file leaves out:"),
            [_waiting(each) for each in report.waiting],
        )
        yield _(
            "If they are other goods, import the file with --different-goods. If they"
            " are the same goods under another name, export the products, give each an"
            " SKU, import that, and then rename them."
        )


def warnings(report: ImportReport, pictures: Path) -> Iterator[str]:
    """
    Yield the lines that say what may be wrong with what was imported.

    *pictures* is the folder where the pictures of the shop are.
    """
    yield from _listed(
        _("Stripe takes from €0.50 to €999,999.99, so alone these cannot be paid:"),
        [_odd_price(each) for each in report.odd_prices],
    )
    yield from _of_pictures(report.pictures, pictures)
    yield from _listed(
        _("Columns that the shop does not know, and does not keep:"),
        report.unknown_columns,
    )


def _of_pictures(names: Collection[str], folder: Path) -> Iterator[str]:
    own = [name for name in names if not is_elsewhere(name)]
    missing = [name for name in own if not _is_there(name, folder)]
    yield from _listed(_("Pictures that are not there:"), missing)
    if elsewhere := len(names) - len(own):
        yield ngettext(
            "%(num)d picture is at another address; a neutral one is shown instead.",
            "%(num)d pictures are at other addresses; a neutral one is shown instead.",
            elsewhere,
        )


def _is_there(name: str, folder: Path) -> bool:
    path = safe_join(str(folder), name)
    return path is not None and Path(path).is_file()


def _listed(heading: str, lines: Collection[str]) -> Iterator[str]:
    """Yield a heading and what stands under it; nothing if that is nothing."""
    if not lines:
        return
    yield heading
    for line in list(lines)[:MOST_LINES]:
        yield f"  {line}"
    more = len(lines) - MOST_LINES
    if more > 0:
        yield "  " + ngettext("and %(num)d more", "and %(num)d more", more)


def _renamed(product: Renamed) -> str:
    before, after = product.before, product.after
    if product.handle_before != product.handle_after:
        before = f"{product.handle_before}: {before}"
        after = f"{product.handle_after}: {after}"
    return f"{before} → {after}"


def _left_out(product: LeftOut) -> str:
    form = _("%(name)s: %(stock)s in stock")
    if not product.is_listed:
        form = _("%(name)s: %(stock)s in stock, not on sale")
    return str(form % {"name": _named(product), "stock": product.stock})


def _waiting(row: Waiting) -> str:
    form = _("line %(line)s: %(name)s: %(quantity)s")
    values = {"line": row.line, "name": _named(row), "quantity": row.quantity}
    return str(form % values)


def _odd_price(row: OddPrice) -> str:
    price = language.money(row.price_cents, "eur")
    form = _("line %(line)s: %(name)s: %(price)s")
    return str(form % {"line": row.line, "name": row.name, "price": price})


def _named(product: LeftOut | Waiting) -> str:
    return f"{product.name} ({product.sku})" if product.sku else product.name
