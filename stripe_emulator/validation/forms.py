"""Form bodies, parsed as Stripe does: `a[b][0][c]=1` is a tree."""

import functools
import re
from typing import Any
from urllib.parse import unquote_plus

from stripe_emulator.validation.errors import ApiError

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEEPEST = 12


def parse(body: str) -> dict[str, Any]:
    """
    Parse *body* into nested dicts; raise ApiError if a name cannot be read.

    A list stays a dict with digits as keys: only the types tell the two apart.
    """
    tree: dict[str, Any] = {}
    for pair in filter(None, body.split("&")):
        name, _, value = pair.partition("=")
        _put(tree, _steps(name), unquote_plus(value), name=name)
    return tree


@functools.lru_cache(maxsize=4096)
def _steps(quoted: str) -> tuple[str, ...]:
    """Split a name into its steps; cached because the same names keep coming back."""
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
