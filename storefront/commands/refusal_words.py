"""What is wrong with a product file, in words."""

from collections.abc import Iterator

from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext

from core.catalogue.faults import Fault
from core.errors import CatalogueError, Refusal

WORDS = {
    Fault.TOO_LARGE: lazy_gettext("the file is larger than %(megabytes)s MB"),
    Fault.WORKBOOK: lazy_gettext(
        "this is a workbook; save it as CSV (UTF-8) and import that"
    ),
    Fault.UTF_32: lazy_gettext("the file is UTF-32; save it as UTF-8"),
    Fault.DAMAGED_UTF_16: lazy_gettext("the file is damaged UTF-16; save it as UTF-8"),
    Fault.NO_PRODUCTS: lazy_gettext("there are no products in the file"),
    Fault.COLUMN_MISSING: lazy_gettext("the column is missing"),
    Fault.COLUMN_TWICE: lazy_gettext("says the same as column “%(other)s”"),
    Fault.ROW_TOO_LONG: lazy_gettext(
        "the row has %(cells)s cells, the header has %(columns)s"
    ),
    Fault.OPEN_QUOTE: lazy_gettext(
        "a quoted cell has no closing quote; what follows was not looked at"
    ),
    Fault.STRAY_QUOTE: lazy_gettext(
        "there is text beside a quoted cell; what follows was not looked at"
    ),
    Fault.NUL: lazy_gettext("a NUL character"),
    Fault.NOT_UTF_8: lazy_gettext("not UTF-8; save the file as UTF-8"),
    Fault.BLANK: lazy_gettext("is blank"),
    Fault.TOO_LONG: lazy_gettext("is longer than %(most)s characters"),
    Fault.TOO_MUCH: lazy_gettext("“%(text)s” is too much"),
    Fault.NEGATIVE: lazy_gettext("“%(text)s” is less than nothing"),
    Fault.NO_PRICE: lazy_gettext("“%(text)s” is not a price like 12.50"),
    Fault.NO_NUMBER: lazy_gettext("“%(text)s” is not a whole number"),
    Fault.NO_RATE: lazy_gettext("“%(text)s” is not a rate like 21, 9 or 0"),
    Fault.NO_CHOICE: lazy_gettext("“%(text)s” is not one of %(choices)s"),
    Fault.NO_WEB_ADDRESS: lazy_gettext(
        "“%(text)s” is not an address with http or https"
    ),
    Fault.SEVERAL_LINES: lazy_gettext("has more than one line"),
    Fault.TAXED_AND_NOT: lazy_gettext(
        "is a rate, but the row says that the product is not taxable"
    ),
    Fault.PICTURE_OF_NOTHING: lazy_gettext("the picture has no product"),
    Fault.OPTION_WITHOUT_NAME: lazy_gettext("is blank, but there is a value"),
    Fault.OPTION_WITHOUT_VALUE: lazy_gettext("is blank, but “%(name)s” has values"),
    Fault.SAME_PRODUCT: lazy_gettext("is the same product as on line %(line)s"),
    Fault.NAME_TAKEN: lazy_gettext(
        "“%(name)s” is another product, which the file leaves out"
    ),
    Fault.STOCK_IMPOSSIBLE: lazy_gettext(
        "the stock of “%(name)s” would be %(stock)s, and %(reserved)s are reserved"
    ),
}


def told(error: CatalogueError) -> str:
    """Say all that is wrong with a file: on one line, or in a list by line."""
    if error.count == 1:
        return _told(error.refusals[0])
    return "\n".join(_listed(error))


def _listed(error: CatalogueError) -> Iterator[str]:
    yield ngettext(
        "%(num)d fault; nothing was imported",
        "%(num)d faults; nothing was imported",
        error.count,
    )
    for refusal in error.refusals:
        yield f"  {_told(refusal)}"
    more = error.count - len(error.refusals)
    if more:
        yield "  " + ngettext("and %(num)d more", "and %(num)d more", more)


def _told(refusal: Refusal) -> str:
    place = []
    if refusal.line is not None:
        place.append(_("line %(line)s", line=refusal.line))
    if refusal.column is not None:
        place.append(_("column '%(column)s'", column=refusal.column))
    told = str(WORDS[Fault(refusal.fault)]) % refusal.values
    if refusal.row not in (None, refusal.line):
        told += " " + _("(in the row that begins on line %(line)s)", line=refusal.row)
    return ": ".join(filter(None, (", ".join(place), told)))
