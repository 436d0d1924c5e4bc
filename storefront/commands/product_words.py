"""What the owner is told of a product file, in the language of their terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flask_babel import force_locale
from flask_babel import gettext as _

from core.catalogue.importing import ImportReport, LeftOut, Waiting


@contextmanager
def in_owners_language() -> Iterator[None]:
    """Speak Dutch where the terminal is Dutch, else English as other commands do."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    language = next(filter(None, map(os.environ.get, names)), "")
    with force_locale("nl" if language.lower().startswith("nl") else "en"):
        yield


def told(report: ImportReport) -> Iterator[str]:
    """Yield the lines that say what an import did, and what it left undone."""
    yield _(
        "%(created)s products created, %(updated)s updated, %(unchanged)s unchanged",
        created=report.created,
        updated=report.updated,
        unchanged=report.unchanged,
    )
    if report.left_out:
        yield _("Left out by the file; they stay as they are:")
        yield from map(_left_out, report.left_out)
    if report.waiting:
        yield _("NOT taken in: these may be the goods that the file leaves out:")
        yield from map(_waiting, report.waiting)
        yield _(
            "If they are other goods, import the file with --different-goods. If they"
            " are the same goods under another name, export the products, give each an"
            " SKU, import that, and then rename them."
        )


def _left_out(product: LeftOut) -> str:
    form = _("%(name)s: %(stock)s in stock")
    if not product.is_listed:
        form = _("%(name)s: %(stock)s in stock, not on sale")
    return "  " + str(form % {"name": _named(product), "stock": product.stock})


def _waiting(row: Waiting) -> str:
    form = _("line %(line)s: %(name)s: %(quantity)s")
    values = {"line": row.line, "name": _named(row), "quantity": row.quantity}
    return "  " + str(form % values)


def _named(product: LeftOut | Waiting) -> str:
    return f"{product.name} ({product.sku})" if product.sku else product.name
