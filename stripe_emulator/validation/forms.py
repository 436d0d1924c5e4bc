"""Form bodies as Stripe reads them: `a[b][0][c]=1` is a tree."""

import functools
import re
from typing import Any
from urllib.parse import unquote_plus

from stripe_emulator.validation.errors import ApiError

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEEPEST = 12


def parse(body: str) -> dict[str, Any]:
    """A list stays a tree of digits here: only the types tell it from a mapping."""
    tree: dict[str, Any] = {}
    for pair in filter(None, body.split("&")):
        name, _, value = pair.partition("=")
        _put(tree, _steps(name), unquote_plus(value), name=name)
    return tree


@functools.lru_cache(maxsize=4096)
def _steps(quoted: str) -> tuple[str, ...]:
    """The names of parameters come again and again, so what they mean is kept."""
    name = unquote_plus(quoted)
    match = _NAME.fullmatch(name)
    if match is None:
        raise ApiError(f"Invalid request: cannot read the parameter {name!r}")
    return (match[1], *re.findall(r"\[([^\[\]]*)\]", match[2]))[:_DEEPEST]


def _put(
    tree: dict[str, Any], steps: tuple[str, ...], value: str, *, name: str
) -> None:
    node = tree
    for step in steps[:-1]:
        node = node.setdefault(step or str(len(node)), {})
        if not isinstance(node, dict):
            text = f"Invalid request: {unquote_plus(name)} is both a value and a hash"
            raise ApiError(text)
    node[steps[-1] or str(len(node))] = value
