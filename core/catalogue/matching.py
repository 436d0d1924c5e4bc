"""
Which product each row of a product file means.

By handle and SKU, else by an SKU that only one product has, else by handle and options,
at last without regard to case and the like. What is matched is renamed. What remains on
both sides may be the same goods under another name: only the owner can tell.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import zip_longest
from typing import Any, TypeVar

from sqlalchemy import Row

from core.catalogue.product_file import ProductRow

T = TypeVar("T")
# A product's row, or a file's: both have the names that a key is made of.
Key = Callable[[Any], Hashable]


@dataclass
class Matches:
    """
    Rows with their products, and what has no counterpart.

    *left_out* are products of the handles that the file names or renames. *waiting*
    are rows that could mean one of them.
    """

    known: list[tuple[ProductRow, Row[Any]]] = field(default_factory=list)
    new: list[ProductRow] = field(default_factory=list)
    waiting: list[ProductRow] = field(default_factory=list)
    left_out: list[Row[Any]] = field(default_factory=list)


def match(
    rows: list[ProductRow], products: list[Row[Any]], *, are_different: bool
) -> Matches:
    """
    Match each row of a file with at most one product, and each product with one row.

    *are_different* is the owner's word that what the file names for the first time is
    something else than what it leaves out: then no row waits.
    """
    known = _known(rows, products)
    matches = Matches(known=[(row, known[row]) for row in rows if row in known])
    unknown = [row for row in rows if row not in known]
    # The handles that a handle of the file had before, and itself.
    handles = {row.handle: {folded(row.handle)} for row in rows}
    for row, product in matches.known:
        handles[row.handle].add(folded(product.handle))
    named = set().union(*handles.values())
    skus = {folded(row.sku) for row in unknown if row.sku}
    found = {product.id for product in known.values()}
    matches.left_out = [
        product
        for product in products
        if product.id not in found
        and (folded(product.handle) in named or folded(product.sku) in skus)
    ]
    out = {folded(product.handle) for product in matches.left_out}
    skus &= {folded(product.sku) for product in matches.left_out}
    for row in unknown:
        has_known_sku = folded(row.sku) in skus
        may_be_known = has_known_sku or not out.isdisjoint(handles[row.handle])
        waits = may_be_known and not are_different
        (matches.waiting if waits else matches.new).append(row)
    if not are_different:
        matches.known = [_kept_together(*each, out) for each in matches.known]
    return matches


def _kept_together(
    row: ProductRow, product: Row[Any], left_out: set[str]
) -> tuple[ProductRow, Row[Any]]:
    """
    Let a product keep a handle that others are left with, whatever *row* renames it to.

    It is what tells the next file that a new name beside *row* may be one of them.
    """
    before = folded(product.handle)
    if before in left_out and before != folded(row.handle):
        row = replace(row, handle=product.handle)
    return row, product


def options(named: ProductRow | Row[Any]) -> tuple[tuple[str, str], ...]:
    """Return the options as (name, value), whatever order the columns have."""
    names, values = named.option_names.split("\n"), named.option_values.split("\n")
    return tuple(sorted(zip_longest(names, values, fillvalue="")))


def folded(text: str) -> str:
    """Return *text* as any hand may write it: in one case, without unseen signs."""
    if text.isascii():
        return " ".join(text.casefold().split())
    visible = (sign for sign in text if unicodedata.category(sign) != "Cf")
    plain = unicodedata.normalize("NFKC", "".join(visible)).casefold()
    return " ".join(unicodedata.normalize("NFKC", plain).split())


def _known(
    rows: list[ProductRow], products: list[Row[Any]]
) -> dict[ProductRow, Row[Any]]:
    """
    Return the product of each row that has one, by the first key that finds it.

    Once more while that finds others: an SKU that two products had may be of one alone
    when a row has given the other a new one. The same file again must find nothing.
    """
    known: dict[ProductRow, Row[Any]] = {}
    row_of: dict[int, ProductRow] = {}
    row_by = cache(lambda key: _unique((key(row), row) for row in rows))
    before = -1
    while before < len(known) < len(rows):
        before = len(known)
        for key in KEYS:
            product_by = _unique((key(row_of.get(p.id, p)), p) for p in products)
            for value, row in row_by(key).items():
                product = product_by.get(value)
                if product is None or row in known or product.id in row_of:
                    continue
                if key is _handle_and_values and not _renames_options(row, product):
                    continue
                known[row], row_of[product.id] = product, row
            if len(known) == len(rows):
                break
    return known


def _unique(things: Iterable[tuple[Hashable, T]]) -> Mapping[Hashable, T]:
    """Return the things by those keys that only one of them has."""
    by_key: defaultdict[Hashable, list[T]] = defaultdict(list)
    for key, thing in things:
        by_key[key].append(thing)
    by_key.pop(None, None)
    return {key: same[0] for key, same in by_key.items() if len(same) == 1}


def _handle_and_sku(named: ProductRow | Row[Any]) -> Hashable:
    return (named.handle, named.sku) if named.sku else None


def _sku(named: ProductRow | Row[Any]) -> Hashable:
    return named.sku or None


def _handle_and_options(named: ProductRow | Row[Any]) -> Hashable:
    return named.handle, options(named)


def _handle_and_values(named: ProductRow | Row[Any]) -> Hashable:
    return named.handle, named.option_values


def _folded_handle_and_options(named: ProductRow | Row[Any]) -> Hashable:
    pairs = ((folded(name), folded(value)) for name, value in options(named))
    return folded(named.handle), tuple(sorted(pairs))


# In this order; each finds only what none before it has found.
KEYS = (
    _handle_and_sku,
    _sku,
    _handle_and_options,
    _handle_and_values,
    _folded_handle_and_options,
)


def _renames_options(row: ProductRow, product: Row[Any]) -> bool:
    """
    Tell whether the values are the same and their options have other names.

    Names in another order are no new names: 30 by 32 is not 32 by 30.
    """
    names, before = row.option_names.split("\n"), product.option_names.split("\n")
    return sorted(names) != sorted(before) or names == before
